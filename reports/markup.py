"""Text as HTML, for pages that need no script: names of tests, prompts and traces may contain anything, and are shown as what they are."""
import html
import re

# Shown as an escape: control characters, those that reorder the text around them, and halves of characters.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def text(value) -> str:
    """Safe between tags and inside a quoted attribute."""
    shown = _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), str(value))
    return html.escape(shown)


def link(address, label) -> str:
    """A link, if it leads to the web; else the label alone."""
    if re.match(r"https?://", str(address)):
        return f'<a href="{text(address)}" rel="noreferrer">{text(label)}</a>'
    return text(label)
