"""`python -m reference.experiments`: which experiments there are, and what each asks."""
import ast
from pathlib import Path


def experiments() -> dict[str, str]:
    """The question of each experiment, by the name under which it is run. Nothing is imported to find out."""
    found = {}
    for analysis in sorted(Path(__file__).parent.glob("*.md")):
        told = ast.get_docstring(ast.parse(analysis.with_suffix(".py").read_text())) or ""
        found[analysis.stem] = told.splitlines()[0].rstrip(".")
    return found


if __name__ == "__main__":
    for name, question in experiments().items():
        print(f"python -m reference.experiments.{name:<24} {question}")
    print("\nEach leaves a record; 'python -m reports.experiments' makes a page of them all.")
