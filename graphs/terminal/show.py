"""`saesage show`: an explanation with the hypotheses and measurements behind it."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from graphs.findings import Findings, export_record
from graphs.runs import Run
from graphs.terminal.forks import family, print_family
from graphs.terminal.shading import shaded
from graphs.terminal.spending import spending
from graphs.terminal.tables import print_features
from tools.database import Database

Row = dict[str, Any]

STATUS_STYLE = {
    "confirmed": "green",
    "refuted": "red",
    "refined": "yellow",
    "undecided": "yellow",
    "pending": "dim",
    "dropped": "dim",
}
_LEGEND = (
    "H hypothesis, E experiment, O its observation. [token|0.7]: activation as a share of the "
    "scale; ↵ line break, → tab. Active from 0.5, inactive up to 0.1 by default."
)
_HELD = {True: ("held", "green"), False: ("failed", "red"), None: ("unclear", "yellow")}


def show_run(database: Database, run: Run, *, as_json: bool) -> None:
    """Every feature of a run with its explanation."""
    console = Console(highlight=False)
    if as_json:
        records = [export_record(run, found) for found in Findings(database).snapshots(run)]
        print_json(console, records)
    else:
        print_features(console, database, run)


def show_feature(
    database: Database, run: Run, feature: int, *, as_json: bool, at: str | None = None
) -> None:
    """One feature: explanation, hypotheses with verdicts, each test with its activations.

    Args:
        database: Has the run.
        run: The run or fork.
        feature: One of its features.
        as_json: Whether to print JSON.
        at: A step of the history or a checkpoint's id: show the feature as it was then.

    Raises:
        RunNotFound: the run does not explain that feature.
        CheckpointNotFound: there is no such checkpoint.
    """
    found = Findings(database).snapshot(run, feature)
    if at is not None:
        # Reading a checkpoint imports LangGraph.
        from graphs.steering.snapshot import snapshot  # noqa: PLC0415

        found = snapshot(database, run, feature, at)
    members = family(database, run, feature)
    console = Console(highlight=False)
    if as_json:
        full = {**export_record(run, found), "experiments": found.experiments}
        full["hypotheses"] = [_public(h) for h in found.hypotheses]
        full["claims"] = json.loads(found.feature["claims"] or "[]")
        full["side_by_side"] = [member.to_json() for member in members]
        print_json(console, full)
        return
    _print_explanation(console, run, found.feature)
    for hypothesis in found.hypotheses:
        own = [e for e in found.experiments if e["hypothesis"] == hypothesis["id"]]
        _print_hypothesis(console, hypothesis, own, found.feature["scale"])
    if len(members) > 1 and at is None:
        print_family(console, members)


def _public(hypothesis: Row) -> Row:
    return {k: v for k, v in hypothesis.items() if k not in ("run", "feature", "checkpoint_id")}


def print_json(console: Console, content: object) -> None:
    """Indented, and never wrapped."""
    console.out(json.dumps(content, ensure_ascii=False, indent=2), highlight=False)


def _print_explanation(console: Console, run: Run, row: Row) -> None:
    console.print(Text(f"Feature {row['feature']} · {row['status']} · run {run.name}", "bold"))
    if row["n_tokens"] is not None:
        console.print(
            f"fires on {row['n_active_tokens']:,} of {row['n_tokens']:,} corpus tokens; "
            f"scale {row['scale']:.3g} (mean of its top-10 maxima)"
        )
    if row["llm_calls"]:
        console.print(Text(f"language model: {spending([row])}"))
    if row["failure"]:
        console.print(Text(row["failure"], "red"))
    if row["stopped"]:
        console.print(Text(f"stopped early: {row['stopped']}", "yellow"))
    if row["description"] is None:
        return
    console.print(Text(f"\n{row['description']}\n"))
    _print_list(console, "labels", row["labels"])
    _print_list(console, "not on", row["not_on"])
    confidence = "none" if row["confidence"] is None else f"{row['confidence']:.2f}"
    _indented(console, Text(f"confidence {confidence}: {row['confidence_basis']}"), 0, hang=2)
    for claim in json.loads(row["claims"]):
        line = f"· {claim['text']} Shown by {', '.join(claim['observations'])}."
        _indented(console, Text(line, "dim"), 2, hang=2)
    console.print(Text(f"\n{_LEGEND}", "dim"))


def _print_list(console: Console, name: str, items: list[str]) -> None:
    if items:
        _indented(console, Text(f"{name}: {'; '.join(items)}"), 0, hang=2)


def _print_hypothesis(
    console: Console, hypothesis: Row, experiments: list[Row], scale: float
) -> None:
    refines = f", refines {hypothesis['parent']}" if hypothesis["parent"] else ""
    title = Text(f"{hypothesis['id']} ", "bold")
    title.append(hypothesis["status"], STATUS_STYLE[hypothesis["status"]])
    title.append(f"{refines}: {hypothesis['statement']}", "not bold")
    console.print()
    _indented(console, title, 0, hang=3)
    for name in ("note", "reason", "interpretation"):
        if hypothesis[name]:
            _indented(console, Text(hypothesis[name], "dim"), 3)
    for experiment in experiments:
        _print_experiment(console, experiment, scale)


def _print_experiment(console: Console, experiment: Row, scale: float) -> None:
    if experiment["outcome"] is None:
        _indented(console, Text(f"{experiment['id']} not run: {experiment['text']!r}", "dim"), 3)
        return
    word, style = _HELD[experiment["supports"]]
    head = Text(f"{experiment['id']:<6}", "dim")
    head.append(f"{word:<8}", style)
    head.append(
        f"{experiment['kind'].replace('_', ' ')}, predicted {experiment['predicted']}, "
        f"max {experiment['max_activation']:.3g} ({experiment['normalized']:.2f} of scale)"
    )
    _indented(console, head, 3)
    line = shaded(experiment["tokens"], experiment["activations"], scale, console)
    _indented(console, line, 9)


def _indented(console: Console, text: Text, by: int, *, hang: int = 0) -> None:
    """Print with every wrapped line indented, those after the first by `hang` more."""
    first, *rest = text.wrap(console, console.width - by - hang)
    console.print(Padding(first, (0, 0, 0, by)))
    for line in rest:
        console.print(Padding(line, (0, 0, 0, by + hang)))
