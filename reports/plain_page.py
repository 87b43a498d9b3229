"""The frame of a page that is only read: no script, no network, one file."""
import base64
import hashlib
from pathlib import Path
from string import Template

from reports.markup import text

HERE = Path(__file__).parent


def framed(title: str, links: str, body: str) -> str:
    """A whole page. `links` and `body` are HTML."""
    style = (HERE / "plain_page.css").read_text(encoding="utf-8")
    frame = Template((HERE / "plain_page.html").read_text(encoding="utf-8"))
    return frame.substitute(title=text(title), links=links, body=body, style=style,
                            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode())
