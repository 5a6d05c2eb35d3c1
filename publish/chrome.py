"""Where a Chromium is, on Linux, macOS and Windows."""

import os
import shutil
from pathlib import Path

NAMES = (  # the first starts three times as fast
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
    "msedge",
)
APPS = ("Google Chrome", "Chromium", "Microsoft Edge")  # macOS
PROGRAMS = (  # Windows
    "Google/Chrome/Application/chrome.exe",
    "Chromium/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
)
NOT_FOUND = (
    "no Chromium was found: install it (Debian: apt install chromium), or name it in CHROMIUM"
)


def chromium(root=Path("/")):
    """The path of a browser, None where there is none; ``root`` is where macOS keeps its apps."""
    apps = [root / f"Applications/{name}.app/Contents/MacOS/{name}" for name in APPS]
    folders = filter(
        None, map(os.environ.get, ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"))
    )
    programs = [Path(folder) / program for folder in folders for program in PROGRAMS]
    named = filter(None, [os.environ.get("CHROMIUM")])
    places = map(str, [*named, *NAMES, *apps, *programs])
    return next(filter(None, map(shutil.which, places)), None)
