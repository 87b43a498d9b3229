"""One HTML file out of a frame, a style sheet and modules: what the browser would load, put together beforehand.

A page that is opened from disk may not load modules. So each becomes a function that returns what it exports.
"""
import base64
import hashlib
import re
from pathlib import Path
from string import Template

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def html(frame: Path, styles: list[Path], entry: Path, connect: str = "'none'", **values: str) -> str:
    """The frame with everything in it. `values` fill its other places and are HTML already; `connect` is who the page may ask."""
    code, style = script(entry), "\n".join(path.read_text(encoding="utf-8") for path in styles)
    hashed = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = (f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hashed}'; connect-src {connect}; "
              "base-uri 'none'; form-action 'none'")
    return Template(frame.read_text(encoding="utf-8")).substitute(policy=policy, style=style, script=code, **values)


def script(entry: Path) -> str:
    """A module with all that it imports, each before whoever needs it."""
    parts: dict[str, str] = {}
    _add_imports(entry, parts)
    return "\n".join([*parts.values(), _rewired(entry.read_text(encoding="utf-8"))])


def _add_imports(path: Path, parts: dict[str, str]) -> None:
    source = path.read_text(encoding="utf-8")
    for _, name in _IMPORT.findall(source):
        if name not in parts:
            module = path.with_name(f"{name}.js")
            _add_imports(module, parts)
            text = module.read_text(encoding="utf-8")
            exports = ", ".join(_EXPORT.findall(text))
            parts[name] = f"const {_scope(name)} = (() => {{\n{_rewired(text)}return {{ {exports} }};\n}})();"


def _rewired(source: str) -> str:
    return _EXPORT.sub("", _IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_scope(found[2])};\n", source))


def _scope(name: str) -> str:
    return f"module_{name.replace('-', '_')}"
