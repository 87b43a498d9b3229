"""Finding a definition in a source file, without importing it: `file::Class.method`."""
import ast
from importlib.util import find_spec
from pathlib import Path

OURS = Path(__file__).parent.parent


def vllm_folder() -> Path | None:
    """The installed vLLM's package folder."""
    found = find_spec("vllm")
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None


def locate(source: str, folder: Path) -> tuple[Path, int] | None:
    """The file and line where `file::Class.method` is defined in `folder`; None if it is not there."""
    file, _, name = source.partition("::")
    path = folder / file
    if not path.is_file():
        return None
    node: ast.AST = ast.parse(path.read_text())
    for part in filter(None, name.split(".")):
        node = next((child for child in ast.iter_child_nodes(node) if part in _names(child)), None)
        if node is None:
            return None
    return path, getattr(node, "lineno", 1)


def _names(node: ast.AST) -> list[str]:
    """What a statement defines: a class, a function, or variables."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
