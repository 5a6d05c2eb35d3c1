"""A headless browser, and the built site on loopback; both are skipped in plain words where they
are missing.
"""

import contextlib
import functools
import gzip
import hashlib
import http.server
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from chrome import NOT_FOUND, chromium
from hypothesis import settings

# for the book; the package is tested with the seeds as they stand
MOVED = [os.environ.pop(name, "") for name in ("GRADBOOK_SEED_OFFSET", "GRADBOOK_NUDGE")]
ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build/html"
BELOW = "/gradients-that-flow/"  # where the site is published
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

settings.register_profile("book", deadline=None)  # speed is a matter of benchmarks
settings.load_profile("book")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    found = chromium()
    if not found:
        pytest.skip(NOT_FOUND)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tools():
    """The folder of Node's tools as explorer/package-lock.json names them, installed once."""
    npm = shutil.which("npm")  # npm.cmd on Windows
    if not npm:
        pytest.skip("Node.js is not installed: the figures' script and the types are not checked")
    lock = (ROOT / "explorer/package-lock.json").read_bytes()
    folder = ROOT / "_build/tools" / hashlib.sha256(lock).hexdigest()[:12]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent))
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(ROOT / "explorer" / name, fresh)
        quiet = ("--no-audit", "--no-fund", "--silent")
        subprocess.run([npm, "ci", *quiet], cwd=fresh, check=True)
        try:
            fresh.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(fresh)
    return folder / "node_modules"


@contextlib.contextmanager
def server(folder, python, arguments, ready="api/status"):
    """A notebook server in ``folder``, which nobody has trusted yet; its address."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    process = subprocess.Popen(
        [python, "-m", *arguments, f"--port={port}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    home = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{home}/{ready}", timeout=2).close()
            break
        except OSError:
            time.sleep(0.5)
    try:
        yield home
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def site():
    if not (SITE / "index.html").exists():
        pytest.skip("the site is not built: run make book first")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def translate_path(self, path):  # the same site once more, below an address
            return super().translate_path(path.replace(BELOW, "/", 1))

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def weight(page):
    """Bytes that the page loaded, as a server sends them (compressed)."""
    files = {
        SITE / url.split(BELOW)[-1].split("?")[0] for url in page.loaded if url.startswith("http")
    }
    return sum(
        len(
            f.read_bytes()
            if f.suffix in (".woff", ".woff2", ".png")
            else gzip.compress(f.read_bytes())
        )
        for f in files
    )


def alive(page):
    """The page with its figures started: each waits until the reader comes near."""
    for figure in page.locator(".gb-explorer").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".gb-live").wait_for()
    return page


@pytest.fixture
def visit(browser):
    """``visit(address, **context)`` opens a page; the browser's complaints are in
    ``page.complaints``, addresses in ``page.loaded``.
    """
    contexts = []

    def open_page(address, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.complaints, page.loaded = [], []
        page.on("request", lambda request: page.loaded.append(request.url))

        def guard(route):
            if route.request.url.startswith(("http://127.0.0.1", "file:", "data:", "blob:")):
                return route.continue_()
            page.complaints.append(f"asks outside: {route.request.url}")
            return route.abort()

        context.route("**/*", guard)
        page.on(
            "console",
            lambda m: page.complaints.append(f"console: {m.text}") if m.type == "error" else None,
        )
        page.on("pageerror", lambda e: page.complaints.append(f"script: {e}"))
        page.on(
            "response",
            lambda r: page.complaints.append(f"{r.status}: {r.url}") if r.status >= 400 else None,
        )
        page.goto(address, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
