"""The stub of a drill, made from its solution: the same names, signatures and docstrings, and nothing else.

    python -m drills stubs      writes all of them anew

What is public stays, without its body; what begins with an underscore goes, imports that are then unused as well.
A definition with the comment `# given` on its first line, and any other statement at the top of the file, is given to
the learner as it is.
"""
import ast

from drills.drill import Drill, all_drills


def stub_of(drill: Drill) -> str:
    """The text of a drill's stub."""
    source = drill.solution.read_text()
    lines, tree = source.splitlines(), ast.parse(source)
    parts = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if "# given" in lines[node.lineno - 1]:
                parts.append(_source(lines, node).replace("  # given", ""))
            elif not node.name.startswith("_"):
                parts.append(_emptied(drill.name, lines, node, ""))
        elif not _is_docstring(node) and not _is_private(node):
            parts.append(_source(lines, node))
    text = [part for part in parts if not part.startswith(("import ", "from "))]
    used = {each.id for part in text for each in ast.walk(ast.parse(part)) if isinstance(each, ast.Name)}
    imports = [part for part in parts if part.startswith(("import ", "from ")) and used & _bound(part)]
    docstring = f'"""{drill.title}: your answer. The problem is in drills/{drill.track}/{drill.name}/README.md."""'
    return "\n".join([docstring, *imports, *(f"\n\n{part}" if part.startswith(("def ", "class ", "@")) else f"\n{part}" for part in text)]) + "\n"


def _source(lines: list[str], node: ast.stmt) -> str:
    start = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    return "\n".join(lines[start - 1:node.end_lineno])


def _emptied(name: str, lines: list[str], node: ast.FunctionDef | ast.ClassDef, owner: str) -> str:
    """A definition whose body says that it is not written yet."""
    start = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    inside = node.body
    has_docstring = _is_docstring(inside[0])
    head = "\n".join(lines[start - 1:inside[0].end_lineno if has_docstring else inside[0].lineno - 1]).rstrip()
    if not has_docstring and (before := lines[inside[0].lineno - 1].encode()[:inside[0].col_offset].decode()).strip():     # def f(x): return x
        head = "\n".join([*lines[start - 1:inside[0].lineno - 1], before]).rstrip()
    indent = " " * (node.col_offset + 4)
    if isinstance(node, ast.ClassDef):
        parts = [_emptied(name, lines, each, f"{node.name}.") if isinstance(each, ast.FunctionDef) else _source(lines, each) for each in inside[has_docstring:]
                 if not (isinstance(each, ast.FunctionDef) and each.name.startswith("_") and not each.name.startswith("__"))]
        return "\n\n".join([head, *parts]) if parts else head
    if any("jit" in ast.unparse(each) for each in node.decorator_list):
        return head if has_docstring else f"{head}\n{indent}pass"      # what is compiled cannot raise
    return f'{head}\n{indent}raise NotImplementedError("{name}: {owner}{node.name} is not written yet")'


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_private(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) and target.id.startswith("_") for target in node.targets)


def _bound(line: str) -> set[str]:
    return {(alias.asname or alias.name).split(".")[0] for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names}


def write_all() -> list[str]:
    """Write every stub anew; returns the names of those that changed."""
    changed = []
    for drill in all_drills():
        text = stub_of(drill)
        if not drill.stub.exists() or drill.stub.read_text() != text:
            drill.stub.write_text(text)
            changed.append(drill.name)
    return changed
