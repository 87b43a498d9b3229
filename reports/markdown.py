"""The Markdown of a log entry as HTML: headings, paragraphs, lists, quotes, code, bold and links to the web.

Nothing else is known, HTML least of all: what is not known is shown as it was written.
"""
import re
from collections.abc import Iterator

from reports.markup import link, text

_FENCE = re.compile(r"^(`{3,})[^`]*$")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_ITEM = re.compile(r"^(?:[-*+]|(\d{1,9})[.)])\s+(.*)$")
_INLINE = re.compile(r"\\(?P<escaped>[!-/:-@\[-`{-~])|(?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
                     r"|\*\*(?P<bold>[^\s*][^*]*)\*\*|\[(?P<label>[^\]\[]*)\]\((?P<address>[^\s()]+)\)")


def render(source: str, top: int = 2) -> str:
    """A whole text. Its largest heading becomes `<h{top}>`."""
    return "\n".join(_blocks(source.splitlines(), top))


def inline(source: str) -> str:
    """The words of one paragraph."""
    made, last = [], 0
    for found in _INLINE.finditer(source):
        made += [text(source[last:found.start()]), _span(found)]
        last = found.end()
    return "".join(made) + text(source[last:])


def _span(found: re.Match) -> str:
    if found["escaped"]:
        return text(found["escaped"])
    if found["code"]:
        return f"<code>{text(found['code'].strip())}</code>"
    if found["bold"]:
        return f"<strong>{text(found['bold'])}</strong>"
    return link(found["address"], found["label"] or found["address"])


def _blocks(lines: list[str], top: int) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if fence := _FENCE.match(line):
            end = next((index for index in range(at + 1, len(lines)) if lines[index].rstrip() == fence[1]), len(lines))
            yield f'<pre tabindex="0"><code>{text(chr(10).join(lines[at + 1:end]))}</code></pre>'
            at = end + 1
        elif heading := _HEADING.match(line):
            level = min(6, top - 1 + len(heading[1]))
            yield f"<h{level}>{inline(heading[2])}</h{level}>"
            at += 1
        elif not line.strip():
            at += 1
        else:
            end = next((index for index in range(at + 1, len(lines)) if _ends(lines[index])), len(lines))
            yield _paragraph(lines[at:end])
            at = end


def _ends(line: str) -> bool:
    """Whether a paragraph or a list is over before this line."""
    return not line.strip() or bool(_FENCE.match(line) or _HEADING.match(line))


def _paragraph(lines: list[str]) -> str:
    if all(line.startswith(">") for line in lines):
        return f"<blockquote><p>{inline(' '.join(line[1:].strip() for line in lines))}</p></blockquote>"
    first = _ITEM.match(lines[0])
    if not first:
        return f"<p>{inline(' '.join(line.strip() for line in lines))}</p>"
    items: list[list[str]] = []
    for line in lines:
        if item := _ITEM.match(line):
            items.append([item[2]])
        else:
            items[-1].append(line.strip())
    made = "".join(f"<li>{inline(' '.join(item))}</li>" for item in items)
    return f"<ol>{made}</ol>" if first[1] else f"<ul>{made}</ul>"
