"""Put another address in place of the repository's, wherever it stands (make repository)."""

import subprocess
import sys

from notebooks import ROOT, repository


def site(url):
    """Where GitHub publishes the pages of a repository."""
    owner, name = url.rstrip("/").split("/")[-2:]
    return f"https://{owner}.github.io/{name}/"


def main(new):
    old = repository()
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for path in map(ROOT.joinpath, filter(None, listed.stdout.split("\0"))):
        if path.is_file():
            before = path.read_bytes()
            after = before.replace(site(old).encode(), site(new).encode())
            after = after.replace(old.encode(), new.encode())
            if after != before:
                path.write_bytes(after)
                print(path.relative_to(ROOT).as_posix())
    print(f"{old} → {new}")


if __name__ == "__main__":
    main(sys.argv[1].removesuffix("/"))
