"""`python -m reports [RUNFILE]`: write the page of the newest run, or of the one named, and say where it is."""
import argparse
import os
import re
import sys
from pathlib import Path

from reports.page import NoSuchClaim, write_page
from reports.run_file import UnknownFormat, newest, read

FOLDER = Path(__file__).parent


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports", description="Write the page of a run.")
    parser.add_argument("run_file", nargs="?", type=Path, help="a .jsonl file; the newest of reports/runs if not given")
    parser.add_argument("--claim", metavar="NODEID", help="a page of this claim alone, with all of its steps")
    asked = parser.parse_args(argv)
    named = asked.run_file
    path = named or newest(FOLDER / "runs")
    if path is None:
        print("No run is written down yet. This makes one: make spec", file=sys.stderr)
        return 1
    try:
        run = read(path)
    except (OSError, UnknownFormat) as error:
        print(f"This run cannot be shown: {error}", file=sys.stderr)
        return 1
    page = path.with_suffix(".html") if named else FOLDER / "latest.html"
    if asked.claim:     # beside the page of the whole run
        page = path.with_name(f"{path.stem}-{re.sub(r'[^a-zA-Z0-9]+', '-', asked.claim.rpartition('::')[2]).strip('-')}.html")
    try:
        write_page(run, page, asked.claim)
    except NoSuchClaim as error:
        print(f"NoSuchClaim: {error}", file=sys.stderr)
        return 1
    if not run.complete:
        print("The run has not come to its end: the page shows what it had found so far.")
    print(f"report: {os.path.relpath(page)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
