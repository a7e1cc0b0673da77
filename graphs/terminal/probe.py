"""`saesage probe`: one feature on texts of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from graphs.terminal.shading import shaded
from graphs.terminal.show import print_json
from tools.activations import Subject, TextActivations
from tools.long_texts import measure_texts


def print_probe(subject: Subject, texts: Sequence[str], feature: int, *, as_json: bool) -> None:
    """Each text with its tokens shaded, its maximum and its mean activation.

    Shading is relative to the strongest token of all the texts. One that is longer than the context
    is read in windows that overlap by half.

    Raises:
        SubjectError: the feature does not exist, or a text cannot be measured.
    """
    console = Console(highlight=False)
    measured = measure_texts(subject, texts, [feature])
    if as_json:
        print_json(console, [_record(item) for item in measured])
        return
    strongest = max(float(item.activations.max()) for item in measured)
    console.print(Text(f"feature {feature} at {subject.info.hook_point}", "bold"))
    console.print(Text("shaded relative to the strongest token below", "dim"))
    for item in measured:
        values = item.activations[:, 0]
        peak = int(values.argmax())
        console.print(shaded(item.tokens, values.tolist(), strongest, console))
        console.print(
            Text(
                f"  max {values.max():.4g} on {item.tokens[peak]!r}, mean {values.mean():.4g}, "
                f"{len(item.tokens)} tokens",
                "dim",
            )
        )


def _record(item: TextActivations) -> dict[str, Any]:
    values = item.activations[:, 0]
    return {
        "text": item.text,
        "tokens": list(item.tokens),
        "activations": [float(value) for value in values],
        "max": float(values.max()),
        "mean": float(values.mean()),
    }
