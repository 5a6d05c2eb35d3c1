"""From slider to picture, on the built site: python benchmarks/slider.py (after make book).

The time from an input event to the end of the frame's layout, over every position of every slider.
"""

import functools
import http.server
import shutil
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

SITE = Path(__file__).resolve().parent.parent / "_build/html"
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

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=SITE)
handler.func.log_message = lambda *args: None
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/chapters/intro.html")
    page.wait_for_selector(".gb-live")
    times = page.evaluate(SCRIPT)
    print(f"{len(times)} moves: median {times[len(times) // 2]:.1f} ms, 95th percentile {times[int(0.95 * len(times))]:.1f} ms")
    browser.close()
