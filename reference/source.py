"""Finding a definition in a source file, without importing it: `file::Class.method`."""
import ast
import functools
from importlib.util import find_spec
from pathlib import Path

OURS = Path(__file__).parent.parent
LONGEST = 400       # lines of a definition that are shown
LONG_CLASS = 120    # lines of a class from which on it is shown in outline


def vllm_folder() -> Path | None:
    """The installed vLLM's package folder."""
    found = find_spec("vllm")
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None


def locate(source: str, folder: Path) -> tuple[Path, int] | None:
    """The file and line where `file::Class.method` is defined in `folder`; None if it is not there."""
    node = _find(source, folder)
    return node and (folder / source.partition("::")[0], getattr(node, "lineno", 1))


@functools.cache
def span(source: str, folder: Path) -> tuple[int, int] | None:
    """The first and the last line of a definition in `folder`; None if it is not there."""
    node = _find(source, folder)
    return (node.lineno, node.end_lineno) if node and hasattr(node, "lineno") else None


@functools.cache
def excerpt(source: str) -> dict | None:
    """A definition in the installed vLLM with its lines: {"of", "path", "line", "text"}; None if it is not there."""
    folder = vllm_folder()
    node = folder and _find(source, folder)
    if not node or not hasattr(node, "lineno"):
        return None
    file = source.partition("::")[0]
    lines = (folder / file).read_text().splitlines()[node.lineno - 1:node.end_lineno]
    return {"of": source, "path": f"vllm/{file}", "line": node.lineno, "text": "\n".join(lines[:LONGEST] + ["…"] * (len(lines) > LONGEST))}


def numbered(source: str, folder: Path) -> list[tuple[int, str]] | None:
    """The lines of a definition in `folder`, each with its number; of a long class, its head and those of what it defines. None if it is not there."""
    node = _find(source, folder)
    if not node or not hasattr(node, "lineno"):
        return None
    lines = (folder / source.partition("::")[0]).read_text().splitlines()
    return [(number, lines[number - 1]) for number in _shown(node)]


def _shown(node: ast.AST) -> list[int]:
    whole = range(node.lineno, node.end_lineno + 1)
    if not isinstance(node, ast.ClassDef) or len(whole) <= LONG_CLASS:
        return list(whole)
    heads = [range(node.lineno, node.body[0].end_lineno + 1 if ast.get_docstring(node) else node.body[0].lineno)]
    heads += [range(child.lineno, max(child.body[0].lineno, child.lineno + 1)) for child in node.body
              if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))]
    return [number for head in heads for number in head]


def _find(source: str, folder: Path) -> ast.AST | None:
    file, _, name = source.partition("::")
    path = folder / file
    if not path.is_file():
        return None
    node: ast.AST | None = _parsed(path)
    for part in filter(None, name.split(".")):
        node = node and next((child for child in ast.iter_child_nodes(node) if part in _names(child)), None)
    return node


@functools.cache
def _parsed(path: Path) -> ast.Module:
    """Each file once: vLLM's are long."""
    return ast.parse(path.read_text())


def _names(node: ast.AST) -> list[str]:
    """What a statement defines: a class, a function, or variables."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
