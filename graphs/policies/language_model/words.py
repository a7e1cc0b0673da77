"""What a language model wrote, made fit to be stored and shown: printable, and not endless."""

from __future__ import annotations


def clean(text: str, most: int) -> str:
    """One line of printable characters, at most `most` of them.

    A reply may hold anything that JSON can spell: halves of surrogate pairs, which no database
    stores, or control characters, which would act on a terminal.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return shortened(" ".join(text.split()), most)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis; at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
