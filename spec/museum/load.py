"""A mutated copy of impl, imported under a name of its own.

The copy has its own classes throughout, so that its enums and exceptions are
consistent among themselves; the real `impl` is not touched.
"""
import importlib.util
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import impl
from spec.museum.mutant import Mutant

IMPL = Path(impl.__file__).parent
IMPORT = re.compile(r"^(\s*(?:from|import) )impl\b", re.MULTILINE)


class StaleMutantError(ValueError):
    """A mutant whose text impl does not have any more, or has more than once."""


def mutate(mutant: Mutant) -> tuple[str, str]:
    """The source of the mutant's file, before and after. Raises `StaleMutantError`."""
    path = IMPL / mutant.file
    before = path.read_text() if path.exists() else ""
    found = before.count(mutant.old)
    if found != 1:
        raise StaleMutantError(f"mutant {mutant.name!r}: its old text must occur once in impl/{mutant.file} and occurs "
                               f"{found} times; in spec/museum, where it is exhibited, fit it to what impl says now:\n{mutant.old}")
    return before, before.replace(mutant.old, mutant.new)


def load(mutant: Mutant, with_tensors: bool = False) -> ModuleType:
    """Import a copy of impl which has the mutant's bug; `with_tensors`: its LLM as well."""
    name = "impl_with_" + mutant.name.replace("-", "_")
    sources = {path.relative_to(IMPL): path.read_text() for path in IMPL.rglob("*.py")}
    sources[Path(mutant.file)] = mutate(mutant)[1]
    with TemporaryDirectory() as folder:
        for path, source in sources.items():
            copy = Path(folder, path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(IMPORT.sub(rf"\1{name}", source))
        spec = importlib.util.spec_from_file_location(name, Path(folder, "__init__.py"), submodule_search_locations=[folder])
        package = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(package)
            if with_tensors:
                package.LLM = package.LLM   # later it could not be imported any more
        finally:    # what is imported lives on in the package
            for module in [module for module in sys.modules if module.partition(".")[0] == name]:
                del sys.modules[module]
    return package
