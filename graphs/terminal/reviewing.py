"""`saesage review`: what waits, and a conversation about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import typer
from rich.console import Console
from rich.text import Text

from graphs.config import RunConfig
from graphs.records import Answer, Edits
from graphs.steering.review import Waiting
from graphs.steering.words import Words, edits_of
from graphs.terminal.show import STATUS_STYLE, print_json
from tools.errors import EditRefused, SaesageError

COMMANDS = """\
  approve           go on, with the changes made here
  reject            end the feature without an explanation
  add TEXT          a hypothesis, such as: add Fires on ' import'.
  edit H1 TEXT      reword a hypothesis
  drop H2           set a hypothesis aside
  test H1 active|inactive TEXT
  undo              take the last change back
  later             decide another time"""


def print_waiting(found: Sequence[Waiting], *, as_json: bool) -> None:
    """Each feature that waits with its hypotheses."""
    console = Console(highlight=False)
    if as_json:
        print_json(console, [_record(each) for each in found])
        return
    if not found:
        console.print("no feature waits for you.")
    for each in found:
        print_one(console, each)


def print_one(console: Console, each: Waiting) -> None:
    """A feature that waits, for the user to judge."""
    title = f"\nFeature {each.feature} · {each.point} · round {each.round} · run {each.run}"
    console.print(Text(title, "bold"))
    for hypothesis in each.hypotheses:
        line = Text(f"{hypothesis.id} ", "bold")
        line.append(hypothesis.status, STATUS_STYLE[hypothesis.status])
        line.append(f": {hypothesis.statement}", "not bold")
        console.print(line)
        words = hypothesis.reason or hypothesis.note
        if words:
            console.print(Text(f"   {words}", "dim"))


def converse(
    console: Console, each: Waiting, config: RunConfig, store: Callable[[Answer], None]
) -> bool:
    """Ask until there is an answer that can be stored; whether there is one."""
    print_one(console, each)
    console.print(Text(COMMANDS, "dim"))
    made: list[Edits] = []
    while True:
        # Of a text every space counts.
        words = typer.prompt(f"feature {each.feature}", err=True).lstrip()
        command, _, rest = words.partition(" ")
        try:
            if command == "later":
                return False
            if command in ("approve", "reject"):
                edits = _joined(made) if command == "approve" else Edits()
                store(Answer(verdict=command, edits=edits))
                return True
            if command == "undo":
                made = made[:-1]
            else:
                made.append(_EDITS[command](config, rest) if command in _EDITS else _what())
        except SaesageError as error:
            console.print(Text(str(error), "red"))


def _what() -> Edits:
    raise EditRefused(f"say one of these:\n{COMMANDS}")


def _reword(config: RunConfig, words: str) -> Edits:
    id, _, text = words.partition(" ")
    return edits_of(config, Words(reword=[(id, text)]))


def _test(config: RunConfig, words: str) -> Edits:
    id, _, rest = words.partition(" ")
    predicted, _, text = rest.partition(" ")
    return edits_of(config, Words(experiments=[(id, text, predicted)]))


_EDITS: Mapping[str, Callable[[RunConfig, str], Edits]] = {
    "add": lambda config, words: edits_of(config, Words(add=[words])),
    "edit": _reword,
    "drop": lambda config, words: edits_of(config, Words(drop=words.split())),
    "test": _test,
}


def _joined(made: Sequence[Edits]) -> Edits:
    return Edits(
        add=tuple(each for edits in made for each in edits.add),
        reword=tuple(each for edits in made for each in edits.reword),
        drop=tuple(each for edits in made for each in edits.drop),
        experiments=tuple(each for edits in made for each in edits.experiments),
    )


def _record(each: Waiting) -> dict[str, object]:
    return {**each._asdict(), "hypotheses": [h.model_dump() for h in each.hypotheses]}
