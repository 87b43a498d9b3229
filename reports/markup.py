"""Text as HTML: names of tests, prompts and traces may contain anything, and are shown as what they are."""
import difflib
import html
import re

# Shown as an escape: control characters, those that reorder the text around them, and halves of characters.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_LONGEST = 4000     # words of a text whose differences are still looked for


def text(value) -> str:
    """Safe between tags and inside a quoted attribute."""
    shown = _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), str(value))
    return html.escape(shown)


def link(address, label) -> str:
    """A link, if it leads to the web; else the label alone."""
    if re.match(r"https?://", str(address)):
        return f'<a href="{text(address)}" rel="noreferrer">{text(label)}</a>'
    return text(label)


def code(caption: str, source: str, kind: str = "") -> str:
    """Something to copy."""
    return (f'<figure class="code {kind}"><figcaption>{text(caption)}'
            '<button type="button" class="copy" hidden>Copy</button></figcaption>'
            f'<pre tabindex="0">{text(source)}</pre></figure>')


def marked(ours: str, theirs: str) -> tuple[str, str]:
    """Two texts, the words in which they differ in <mark>."""
    left, right = _WORD.findall(ours), _WORD.findall(theirs)
    if len(left) + len(right) > _LONGEST:
        return text(ours), text(theirs)
    ours_html, theirs_html = [], []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        wrap = "{}" if tag == "equal" else "<mark>{}</mark>"
        for words, target in ((left[a:b], ours_html), (right[c:d], theirs_html)):
            if words:
                target.append(wrap.format(text("".join(words))))
    return "".join(ours_html), "".join(theirs_html)
