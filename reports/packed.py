"""Data inside a page: JSON, deflated, in base64, each piece unpacked by the browser when it is needed."""
import base64
import json
import zlib


def packed(value) -> str:
    """Text that any HTML may contain. The browser's half is `page/unpack.js`."""
    told = json.dumps(value, separators=(",", ":"), default=str)
    return base64.b64encode(zlib.compress(told.encode(), 9)).decode()


class Pieces:
    """The packed pieces of one page, by id. What is there already is not put in twice."""

    def __init__(self):
        self._ids: dict[str, str] = {}
        self.size = 0

    def add(self, text: str, name: str | None = None) -> str:
        """Put a packed text in. Its id."""
        if text not in self._ids or name:
            self._ids[text] = name or f"runs-{len(self._ids)}"
            self.size += len(text) + 60     # with the element around it
        return self._ids[text]

    def html(self) -> str:
        return "\n".join(f'<script type="text/plain" id="{name}">{text}</script>' for text, name in self._ids.items())
