"""The page of one's progress: one HTML file, to be read without a script."""
from reports import activity, drilled
from reports.learner import Progress, hits, percent, verdicts
from reports.markup import text
from reports.plain_page import framed
from reports.predictions import GUESSING, Bin, brier, by_theme, calibration

SIDE, LEFT, BOTTOM = 220, 40, 34    # of the picture of calibration
LEAST_DOT, DOT_PER_ROOT = 3, 2


def page(progress: Progress) -> str:
    """The whole page. Every text that comes from a run passes through `markup.text`."""
    body = "".join((_figures(progress), _activity(progress), _predictions(progress), _themes(progress), _drills(progress), _log(progress)))
    return framed("Progress", '<a href="log_book.html">Log-book</a> <a href="latest.html">The newest run</a>', body)


def _figures(progress: Progress) -> str:
    right = (f"{sum(one.right for one in progress.predictions)} <small>of {len(progress.predictions)}</small>"
             if progress.predictions else "<small>none yet</small>")
    figures = {"claims explored": f"{progress.explored} <small>of {progress.exist}</small>", "predictions right": right,
               "drills passed": f"{sum(len(track.passed) for track in progress.drills)} <small>of {sum(len(track.exist) for track in progress.drills)}</small>",
               f"active days in {activity.WEEKS} weeks": str(progress.active_days), "log entries": str(len(progress.entries))}
    return '<dl class="figures">' + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items()) + "</dl>"


def _themes(progress: Progress) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_theme(theme.name)}</th>'
        f'<td class="wide"><progress max="{theme.exist}" value="{len(theme.claims)}" aria-label="explored of {text(theme.name)}"></progress></td>'
        f'<td class="number">{len(theme.claims)} of {theme.exist}</td><td class="words">{text(verdicts(theme.claims))}</td></tr>'
        for theme in progress.themes)
    left_out = (f'<p class="note">Not readable, and left out: {text(", ".join(sorted(progress.unreadable)))}</p>' if progress.unreadable else "")
    return (f'<section><h2>Claims explored</h2>{_table(["theme", ("", "wide"), ("explored", "number"), "the last verdicts"], rows)}{left_out}'
            '<p class="note">A claim is explored when it has run here at least once.</p></section>')


def _activity(progress: Progress) -> str:
    days = [day for week in progress.weeks for day in week if day.claims is not None]
    rows = "".join(f'<tr><th scope="row">{day.day}</th><td class="number">{day.claims}</td></tr>' for day in reversed(days))
    table = f'<details><summary>Day by day</summary>{_table(["day", ("claims", "number")], rows)}</details>' if days else ""
    return f'<section><h2>The last {activity.WEEKS} weeks</h2>{activity.as_svg(progress.weeks)}{table}</section>'


def _predictions(progress: Progress) -> str:
    waiting = f'<p class="note">{progress.waiting} more wait for their truth: run those claims with --predict.</p>' if progress.waiting else ""
    title = "<section><h2>Predictions"
    if not progress.predictions:
        how = "<code>pytest spec/scheduler --predict</code> asks what you believe before it asks vLLM."
        return f"{title}</h2><p>None yet. {how}</p>{waiting}</section>"
    bins = calibration(progress.predictions)
    themes = "".join(f'<tr><th scope="row">{_theme(theme)}</th><td class="number">{hits(some)}</td><td class="number">{brier(some):.2f}</td></tr>'
                     for theme, some in by_theme(progress.predictions).items())
    sure = "".join(f'<tr><th scope="row">{one.low} to {one.high} %</th><td class="number">{one.number}</td>'
                   f'<td class="number">{percent(one.frequency)}</td></tr>' for one in bins)
    return (f'{title} <small>{hits(progress.predictions)} right · Brier score {brier(progress.predictions):.2f}</small></h2>'
            f'<div class="beside"><div>{calibration_svg(bins)}</div>'
            f'{_table(["how sure", ("predictions", "number"), ("right", "number")], sure)}</div>'
            '<p class="note">To the right, how sure you were; upwards, how often you were right. On the dashed line the two agree; below it you '
            f'were too sure. A larger dot stands for more predictions. A Brier score of 0 is perfect, {GUESSING} is guessing.</p>'
            f'<h2>Predictions by theme</h2>{_table(["theme", ("right", "number"), ("Brier score", "number")], themes)}{waiting}</section>')


def calibration_svg(bins: list[Bin]) -> str:
    """Confidence to the right, from 50 to 100 %; how often it was right upwards, from 0 to 100 %."""
    def at(confidence: float, frequency: float) -> tuple[float, float]:
        return LEFT + (confidence - 0.5) * 2 * SIDE, 8 + (1 - frequency) * SIDE

    dots = "".join('<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{}</title></circle>'.format(
        *at(one.confidence, one.frequency), LEAST_DOT + DOT_PER_ROOT * one.number ** 0.5, _said(one)) for one in bins)
    (left, middle), (right, top), bottom = at(0.5, 0.5), at(1, 1), at(0.5, 0)[1]
    names = "".join(f'<text x="{at(share, 0)[0]:.0f}" y="{bottom + 15:.0f}" text-anchor="middle">{percent(share)}</text>' for share in (0.5, 0.75, 1))
    names += "".join(f'<text x="{left - 6:.0f}" y="{at(0.5, share)[1] + 4:.0f}" text-anchor="end">{percent(share)}</text>' for share in (0, 0.5, 1))
    names += f'<text x="{(left + right) / 2:.0f}" y="{bottom + 31:.0f}" text-anchor="middle">how sure</text>'
    label = "how often predictions were right: " + "; ".join(map(_said, bins))
    return (f'<svg class="calibration" viewBox="0 0 {LEFT + SIDE + 20} {8 + SIDE + BOTTOM}" role="img" aria-label="{label}">'
            f'<rect class="axis" x="{left}" y="{top}" width="{SIDE}" height="{SIDE}"/>'
            f'<line class="ideal" x1="{left}" y1="{middle}" x2="{right}" y2="{top}"/>{names}{dots}</svg>')


def _said(one: Bin) -> str:
    return f"{percent(one.confidence)} sure, {percent(one.frequency)} right of {one.number}"


def _drills(progress: Progress) -> str:
    if not progress.drills:
        return "<section><h2>Drills</h2><p>None yet.</p></section>"
    rows = "".join(
        f'<tr><th scope="row">{_theme(track.name)}</th>'
        f'<td class="wide"><progress max="{len(track.exist)}" value="{len(track.passed)}" aria-label="passed of {text(track.name)}"></progress></td>'
        f'<td class="number">{len(track.passed)} of {len(track.exist)}</td><td class="words">{_theme(", ".join(track.begun))}</td>'
        f'<td class="words">{_theme(drilled.medals(track))}</td></tr>' for track in progress.drills)
    how = "" if any(track.passed for track in progress.drills) else '<p class="note"><code>python -m drills next</code> begins one.</p>'
    table = _table(["track", ("", "wide"), ("passed", "number"), "begun", "badges"], rows)
    return f"<section><h2>Drills <small>{text(drilled.summary(progress.drills))}</small></h2>{table}{how}</section>"


def _log(progress: Progress) -> str:
    items = "".join(f'<li><span class="soft">{text(entry.date)}</span> <a href="log_book.html#{text(entry.path.stem)}">{text(entry.title)}</a></li>'
                    for entry in progress.entries)
    return f'<section><h2>Log-book</h2>{f"<ul>{items}</ul>" if items else "<p>Empty. <code>make log CLAIM=…</code> starts an entry.</p>"}</section>'


def _theme(name: str) -> str:
    """A name, or several, which on a narrow screen may go on in the next line behind a slash or an underscore."""
    return text(name).replace("/", "/<wbr>").replace("_", "_<wbr>")


def _table(heads: list[str | tuple[str, str]], rows: str) -> str:
    """`heads`: a name, or a name and the class of its column."""
    named = [head if isinstance(head, tuple) else (head, "") for head in heads]
    top = "".join(f'<th scope="col" class="{kind}">{name}</th>' if name else f'<td class="{kind}"></td>' for name, kind in named)
    return f'<div class="table" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
