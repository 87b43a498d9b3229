"""The live page: an engine at work, as its server serves it; or, from disk, a live run that was saved."""
from pathlib import Path

from reports import bundle
from reports.packed import Pieces, packed
from reports.run_file import Run

PAGE = Path(__file__).parent / "page"


def live_page(saved: Run | None = None) -> str:
    """The whole page. It asks its server for the lines of the run file, or has those of a saved run in it."""
    pieces = Pieces()
    if saved:
        pieces.add(packed(saved.events), "lines")
    return bundle.html(PAGE / "live.html", [PAGE / "page.css", PAGE / "live.css"], PAGE / "live.js",
                       connect="'none'" if saved else "'self'", pieces=pieces.html())
