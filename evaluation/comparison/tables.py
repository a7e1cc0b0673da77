"""The comparison for people: tables in a terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.comparison.changes import Change
from evaluation.comparison.comparison import Comparison, MetricComparison
from evaluation.comparison.standings import Standing
from evaluation.statistics import Estimate
from tools.llm.costs import Spent

COLUMNS = ("explainer", "mean", "95 % interval", "n", "agentic ahead by", "p", "w/t/l")
WORDS = ("explainer", "family", "explanation")
"""Columns of words, not of figures."""
FOOTNOTE = (
    "Intervals: 95 % bootstrap over features. p: Wilcoxon's signed-rank test, two-sided, not "
    "corrected for the number of comparisons. w/t/l: features won, tied and lost by agentic."
)
_NONE = "-"
_UNKNOWN = "?"


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Every metric with every explainer, then the features that gained and lost most."""
    console.print(title(comparison), style="bold")
    for metric in comparison.metrics:
        console.print()
        console.print(Text(heading(metric), "bold"))
        _print_rows(console, COLUMNS, metric_rows(metric))
        for note in notes(metric):
            console.print(Text(f"  {note}", "dim"))
    for name, rows in _further(comparison):
        console.print()
        console.print(Text(name, "bold"))
        _print_rows(console, rows[0], rows[1:])
    console.print()
    console.print(Text(FOOTNOTE, "dim"))


def markdown(comparison: Comparison) -> str:
    """The same as Markdown."""
    parts = [f"# {title(comparison)}"]
    for metric in comparison.metrics:
        parts += [f"## {heading(metric)}", table(COLUMNS, metric_rows(metric))]
        parts += [f"- {note}" for note in notes(metric)]
    for name, rows in _further(comparison):
        parts += [f"## {name}", table(rows[0], rows[1:])]
    parts.append(FOOTNOTE)
    return "\n\n".join(parts) + "\n"


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def title(comparison: Comparison) -> str:
    """How many features all tables are about."""
    planned = comparison.features + comparison.unscored
    return f"run {comparison.run}: {comparison.features} of {planned} features scored"


def heading(metric: MetricComparison) -> str:
    """What a metric's table is about."""
    trivial = [each.trivial for each in metric.standings if each.trivial is not None]
    best = (min if metric.lower_is_better else max)(trivial) if trivial else None
    reads_nothing = "" if best is None else f"; reading nothing gives {best:.3f}"
    lower = ", lower is better" if metric.lower_is_better else ""
    return f"{metric.metric} (judge {metric.judge}{lower}{reads_nothing})"


def metric_rows(metric: MetricComparison) -> list[list[str]]:
    """One row for each explainer."""
    return [_row(each) for each in metric.standings]


def notes(metric: MetricComparison) -> Iterator[str]:
    """What the figures leave out, and what they cost; what is true of several is said once."""
    told: dict[str, list[str]] = {}
    for each in metric.standings:
        for note in _notes(each):
            told.setdefault(note, []).append(each.explainer)
    for note, names in told.items():
        everybody = len(names) == len(metric.standings) > 1
        yield f"{'all' if everybody else ', '.join(names)}: {note}"


def _notes(standing: Standing) -> Iterator[str]:
    reason = standing.reasons[0].rstrip(".") if standing.reasons else ""
    more = f" (and {len(standing.reasons) - 1} more)" if len(standing.reasons) > 1 else ""
    if standing.floored:
        yield f"{standing.floored} count as reading nothing would: {reason}{more}"
    if standing.missing:
        yield f"{standing.missing} have no score" + (
            "" if standing.floored else f": {reason}{more}"
        )
    if standing.parse_failures:
        yield f"{standing.parse_failures:.1%} of the answers or texts could not be used"
    for what, spent in (("explaining", standing.making), ("scoring", standing.scoring)):
        if spent.calls:
            yield f"{what} took {spent.calls} calls, {_tokens(spent)} tokens, {_dollars(spent)}"


def interval(estimate: Estimate | None, sign: str = "") -> str:
    """The ends of an interval."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return _NONE
    return f"[{estimate.low:{sign}.2f}, {estimate.high:{sign}.2f}]"


def _row(standing: Standing) -> list[str]:
    mean, gain = standing.mean, standing.gain
    return [
        standing.explainer,
        _NONE if mean is None else f"{mean.value:.3f}",
        interval(mean),
        str(standing.n),
        "" if gain is None else f"{gain.difference.value:+.2f} {interval(gain.difference, '+')}",
        "" if gain is None or gain.p is None else f"{gain.p:.1e}",
        "" if gain is None else f"{gain.wins}/{gain.ties}/{gain.losses}",
    ]


def _tokens(spent: Spent) -> str:
    if spent.tokens_in is None or spent.tokens_out is None:
        return _UNKNOWN
    return f"{spent.tokens_in + spent.tokens_out:,}"


def _dollars(spent: Spent) -> str:
    return "cost unknown" if spent.cost is None else f"${spent.cost:.3g}"


def _further(comparison: Comparison) -> Iterator[tuple[str, list[list[str]]]]:
    if comparison.families:
        yield "recovered meaning by family (F1 on held-out text)", _family_rows(comparison)
    for title, changes in (("gained", comparison.gained), ("lost", comparison.lost)):
        if changes:
            yield f"{title} most: {comparison.headline}", _change_rows(changes)


def _family_rows(comparison: Comparison) -> list[list[str]]:
    rows = [["family", "explainer", "n", "mean F1", "recovered"]]
    for each in comparison.families:
        share = f"{each.recovered:.0%}"
        rows.append([each.family, each.explainer, str(each.n), f"{each.f1:.3f}", share])
    return rows


def _change_rows(changes: Sequence[Change]) -> list[list[str]]:
    rows = [["feature", "agentic", "baseline", "gain", "explanation"]]
    for each in changes:
        figures = [f"{each.ours:.3f}", f"{each.theirs:.3f}", f"{each.gain:+.3f}"]
        rows.append([str(each.feature), *figures, each.description or ""])
    return rows


def _print_rows(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    shown = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        # Where there is no room, words are folded: figures would be cut, and read as others.
        shown.add_column(name, overflow="fold", no_wrap=name not in WORDS)
    for row in rows:
        shown.add_row(*map(Text, row))
    console.print(shown)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
