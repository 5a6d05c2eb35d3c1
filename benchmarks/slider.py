"""From slider to picture, on the built site, for every Explorer; prints rows for README.md.

The time from an input event to the end of the frame's layout, over every position of every slider.
"""

import functools
import http.server
import sys
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build/html"
sys.path.insert(0, str(ROOT / "publish"))
from chrome import chromium  # noqa: E402

SCRIPT = """() => {
  const times = [];
  for (const input of document.querySelectorAll('.gb-explorer input[type=range]'))
    for (let round = 0; round < 8; round++)
      for (let v = +input.min; v <= +input.max; v++) {
        const start = performance.now();
        input.value = v;
        input.dispatchEvent(new Event('input'));
        document.querySelector('.gb-view').getBoundingClientRect();  // forces the layout
        times.push(performance.now() - start);
      }
  return times.sort((a, b) => a - b);
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
threading.Thread(target=server.serve_forever, daemon=True).start()
pages = sorted(
    p for p in SITE.glob("chapters/*/*.html") if 'class="gb-explorer"' in p.read_text("utf-8")
)
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
    print("| Explorer of | moves | median | 95th percentile |\n|---|---|---|---|")
    for path in pages:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/{path.relative_to(SITE)}")
        page.locator(".gb-explorer").scroll_into_view_if_needed()
        page.wait_for_selector(".gb-live")
        page.wait_for_timeout(8000)  # until mathematics is typeset
        times = page.evaluate(SCRIPT)
        print(
            f"| {path.stem} | {len(times)} | {times[len(times) // 2]:.1f} "
            f"ms | {times[int(0.95 * len(times))]:.1f} ms |",
            flush=True,
        )
        page.close()
    browser.close()
