"""Text as itself, on a terminal and in Markdown: whatever a name or a sentence contains, it is shown and does nothing."""
import re


def for_terminal(value) -> str:
    """What steers a terminal, or reorders the text around it, is spelt out. Line breaks stay."""
    return "".join(each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in str(value))


def for_markdown(value) -> str:
    """One line of text. What Markdown or HTML would take for itself stands behind a backslash."""
    line = re.sub(r"([\\`*\[\]|~<>&]|(?<!\w)_|_(?!\w))", r"\\\1", for_terminal(" ".join(str(value).split())))
    return re.sub(r"^(\d+(?=[.)])|(?=[-+#=]))(.)", r"\1\\\2", line)     # a list, a heading


def unescaped(markdown: str) -> str:
    """The text that `for_markdown` was given."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


def fenced(source: str, language: str = "") -> str:
    """Text as a block of code, behind a fence longer than any of its own."""
    longest = max((len(run) for run in re.findall("`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{for_terminal(source)}\n{fence}"
