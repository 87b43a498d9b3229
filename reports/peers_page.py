"""The tables of `python -m spec.peers` as a page. They come as rows of cells, the first row the head."""
import textwrap
from pathlib import Path

from reports.markup import text
from reports.plain_page import framed

PAGE = Path(__file__).parent / "peers.html"


def page(lead: str, tables: dict[str, list[list[str]]]) -> str:
    """The whole page: a sentence or two, then each table under its name."""
    body = "".join(f"<section><h2>{text(name)}</h2>{_table(rows)}</section>" for name, rows in tables.items())
    return framed("Engines beside vLLM", "", f'<p class="lead">{text(lead)}</p>{body}')


def _table(rows: list[list[str]]) -> str:
    first, *heads = rows[0]
    top = f"<td>{text(first)}</td>" + "".join(f'<th scope="col" class="number">{_broken(head)}</th>' for head in heads)
    lines = "".join(f'<tr><th scope="row">{text(name)}</th>' + "".join(f'<td class="number">{text(cell)}</td>' for cell in cells) + "</tr>"
                    for name, *cells in rows[1:])
    return f'<div class="table" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def _broken(head: str) -> str:
    """A head in short lines, so that all columns stand side by side."""
    return "<br>".join(map(text, textwrap.wrap(head, 13, break_long_words=False)))
