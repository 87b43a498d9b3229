"""The two tables, as rows of cells; `plain` fits them to a terminal, `markdown` to a README."""
import textwrap
from collections import Counter

from reference.choose import NoReference, Reference
from reference.workload import Workload
from spec.peers.conformance import Finding, Outcome
from spec.peers.ideas import IDEAS, Figures, figures, run_of
from spec.peers.workloads import SITUATIONS

Rows = list[list[str]]      # the first is the head

MEANING = {
    "served": "requests served", "steps": "steps", "tokens": "tokens computed", "prompt_tokens": "prompt tokens computed",
    "largest_step": "largest step, tokens", "peak_blocks": "most blocks held", "idle_blocks": "most blocks held in vain",
    "mean_wait": "mean wait for the first token", "longest_wait": "longest wait for the first token",
    "longest_gap": "longest gap between two tokens"}

# The figures that an idea is about, and those in which it is paid for.
TELLING = {
    "outputs of many lengths": ("steps", "longest_wait"),
    "a small pool, and most stop early": ("steps", "idle_blocks", "tokens"),
    "a shared system prompt": ("prompt_tokens", "peak_blocks"),
    "a long prompt among decodes": ("longest_gap", "mean_wait"),
}


def by_theme(found: dict[str, list[Finding]]) -> Rows:
    """Of each theme's claims, for each engine: in how many it decides the same / of how many the sentence is true."""
    themes = sorted({finding.claim.theme for findings in found.values() for finding in findings})
    rows = [["same / true", "claims", *found]]
    for theme in [*themes, None]:
        chosen = [[finding for finding in findings if theme in (None, finding.claim.theme)] for findings in found.values()]
        rows.append([theme or "all", str(len(chosen[0])), *map(_same_and_true, chosen)])
    return rows


def _same_and_true(findings: list[Finding]) -> str:
    return f"{sum(each.same for each in findings)} / {sum(each.outcome is Outcome.TRUE for each in findings)}"


def by_outcome(found: dict[str, list[Finding]]) -> Rows:
    """What became of the sentences, so that refusals and crashes are seen; a column adds up to all claims."""
    counts = [Counter(finding.outcome for finding in findings) for findings in found.values()]
    return [["the sentence", *found], *([str(outcome), *(str(count[outcome]) for count in counts)] for outcome in Outcome)]


def what_ideas_buy(situation: Workload, reference: Reference) -> Rows:
    """The figures of a situation, idea by idea; the last column is vLLM's, whose run is that of all ideas together."""
    heads, columns = [idea.name for idea in IDEAS], [figures(run_of(idea, situation)) for idea in IDEAS]
    try:
        columns.append(figures(reference.run(IDEAS[-1].limits(situation)).run))
        heads.append(f"vLLM {reference.version}")
    except NoReference:     # a situation of one's own, not recorded yet
        pass
    return [["", *heads], *([MEANING[name], *(str(getattr(column, name)) for column in columns)] for name in Figures._fields)]


def in_short(reference: Reference) -> Rows:
    """The telling figures of all situations, for the README."""
    rows: Rows = []
    for name, telling in TELLING.items():
        head, *figures_of = what_ideas_buy(SITUATIONS[name], reference)
        chosen = [MEANING[figure] for figure in telling]
        rows += [[f"{name}: {meaning}", *cells] for meaning, *cells in figures_of if meaning in chosen]
    return [head, *rows]


def plain(rows: Rows, width: int = 12) -> str:
    """Columns for a terminal. Long heads are broken into lines."""
    heads = [[rows[0][0]], *(textwrap.wrap(head, width, break_long_words=False) for head in rows[0][1:])]
    height = max(map(len, heads))
    broken = [list(line) for line in zip(*([""] * (height - len(head)) + head for head in heads))]
    table = broken + rows[1:]
    widths = [max(len(row[column]) for row in table) for column in range(len(rows[0]))]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:]))]).rstrip()
                     for row in table)


def markdown(rows: Rows) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]])
