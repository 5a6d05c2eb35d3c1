"""A headless browser, and the built site on loopback; both are skipped in plain words where they are missing."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import settings

SITE = Path(__file__).resolve().parent.parent / "_build/html"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]

settings.register_profile("book", deadline=None)  # speed is a matter of benchmarks
settings.load_profile("book")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next(filter(None, (shutil.which(name) for name in names if name)), None)
    if not found:
        pytest.skip("no Chromium was found: install it (Debian: apt install chromium) or name it in $CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site():
    if not (SITE / "index.html").exists():
        pytest.skip("the site is not built: run make book first")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser):
    """``visit(address, **context)`` opens a page; every complaint of the browser is in ``page.complaints``."""
    contexts = []

    def open_page(address, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.complaints = []

        def guard(route):
            if route.request.url.startswith(("http://127.0.0.1", "file:", "data:", "blob:")):
                return route.continue_()
            page.complaints.append(f"asks outside: {route.request.url}")
            return route.abort()

        context.route("**/*", guard)
        page.on("console", lambda m: page.complaints.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda e: page.complaints.append(f"script: {e}"))
        page.on("response", lambda r: page.complaints.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.goto(address, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
