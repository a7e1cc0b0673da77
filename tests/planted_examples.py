"""Hand-written examples of every planted feature: which tokens it fires on, and how strongly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class On(NamedTuple):
    """A token that the feature fires on."""

    token: str
    share: float = 1.0


Example = Sequence[str | On]
"""The tokens of one text; bare ones are silent."""


def on(*tokens: str) -> tuple[On, ...]:
    return tuple(On(token) for token in tokens)


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "return": (
        ("return", "\n", On(" return", 0.6), " x", " raise", "\n", On(" return"), " Return"),
        ("raise", On(" return", 0.6)),
    ),
    "append": ((" append", ".", On("append"), "()", "Append"),),
    "the": ((On(" the"), "the", " The", " them", "\n", On(" the")),),
    "recursive": ((On(" recursive"), "recursive", " curs"),),
    "exception handling": ((*on(" try", " except", " finally", " raise"), "try", " tries"),),
    "constants": (
        (On(" True", 0.6), "None", " def", On(" None"), On(" False")),
        ("def", On(" None", 0.6), " none"),
    ),
    "files": ((*on(" file", " path", " directory", " filename"), "file", " files"),),
    "name": ((*on("name", " name", "Name", " NAME", " nAme"), " names", "  name"),),
    "error": ((*on(" error", "Error", " Exception", "EXCEPTION"), " errors", "err"),),
    "type": ((On("Type", 0.6), On(" class", 0.6), " for", On(" TYPE"), "types"),),
    "re-": ((*on(" return", "read", "red"), " re", "Re", "Read", " are", "re_", " re1"),),
    "un-": ((*on(" until", "unt"), "un", " Until", "sun", "un-"),),
    "con-": ((On("config", 0.6), "con", " not", On(" context"), " Con", " CONFIG"),),
    "-ing": ((*on(" string", "Testing", "ding"), "ing", " ings", "a_ing", " in"),),
    "-ly": ((*on(" only", "ally", "Only"), "ly", " lying", "ly."),),
    "-tion": ((*on(" function", "ation"), "tion", " actions", "Tion"),),
    "numbers": ((*on("0", " 1", "255", " 200"), "1a", "one", "1.", "-", "  1"),),
    "long numbers": ((*on("00", " 255"), "0", " 7", "10x", "a10"),),
    "spaced numbers": ((On(" 1", 0.6), "1", " =", On(" 200"), " x", " 1.", "="),),
    "capitalised": ((*on(" The", "Error", " Re"), " T", " THE", "ValueError", " the", "The."),),
    "all capitals": ((*on(" ISO", "IN"), " I", "In", "INs", " _ID", "A1"),),
    "inner capital": ((*on(" ValueError", "aN", "mportError"), "Error", " IN", "INt", " value"),),
    "closing brackets": ((*on(")", "):", "))", " ]", "},", ")]"), "()", "(", ")(", ":", "):\n"),),
    "comparisons": ((*on(" ==", " !=", " <", " >", " <=", " >="), "==", " =", " =>", ">"),),
    "colons": ((On(":", 0.6), On("):", 0.6), " import", On(" else:"), ": ", "::a"),),
    "deep indentation": (
        (*on("\n" + " " * 11, "\n\n" + " " * 15), "\n" + " " * 7, "\n", " " * 15, "\n\n"),
    ),
    "blank lines": ((*on("\n\n", "\n\n   ", "\n \n", "\n\n\n   "), "\n", "\n   ", " ", "x"),),
    "bare line breaks": ((On("\n", 0.6), "\n\n", "\n   ", " if", On("\n"), " "),),
    "not after is": ((" not", " is", On(" not"), " not", " is", " a", " not"),),
    "what is imported": (
        ("import", On(" os"), ",", " sys", " import", On("re"), "import", " _x", " import", "("),
    ),
    "self after a bracket": (
        ("self", "(", On("self", 0.6), "((", "self", " None", "(", On("self"), "(", " self"),
    ),
    "self after yield": ((" self", " yield", On(" self"), " yield", " x", " self"),),
    "in after for": (
        (" for", " x", On(" in"), "a", "b", "c", On(" in"), " in", " in"),
        (" in", "for", " in"),
    ),
    "None after if": ((" None", " if", *on(" None"), "a", "b", "c", *on(" None"), " None"),),
    "call on self": (
        (" self", ".", "f", On("("), " self", ".", "f", "g", "(", "self", "("),
        (" self", On("("), On("("), "((", "("),
    ),
    "first token": ((On("\n"), "\n", "x"), (On(" the"),)),
    "first words": ((*on("a", " B"), "\n", "1", *on("cd"), "e"), ("(", On("x"))),
    "line starts": (
        (On("def"), " f", "():", "\n   ", On(" return"), " x", "\n\n", "    ", On("y")),
        ("   ", On(" x"), "\n   ", "(", "x", "\n", "1"),
    ),
    "in quotes": (
        ("a", ' "', *on("b", " c"), '"', "d", ' "', On("e"), "\n", "f"),
        ('"""', "Text", '"""', "a", "(", '"', On("b"), '",', " c", "'", "d"),
        ('""', "a", '("', On("b"), '")', "c"),
    ),
    "in brackets": (
        ("f", "(", *on("a", " b"), ",", "[", *on("c"), "]", *on("d"), ")", "e", "{", On("g")),
        ("a", ")", "b", "(", On("c"), ")", "d", "))", "(", On("e"), "()", On("f"), ")", "g"),
    ),
    "in a comment": (
        ("x", " #", On("a", 0.6), "1", " =", On(" self"), On(" b"), "\n", "c", "#", On("d")),
    ),
    "repeated capitalised word": (
        ("Error", " Error", On("Error"), "x", "x", On(" Error"), "IN", "IN"),
    ),
    "repeated pair": (
        ("a", "b", "c", "a", On("b"), On("c"), "d", "b", "a"),
        ("a", "a", On("a"), "(", "x", "(", On("x"), "(", "x1"),
    ),
    "echo": (
        (",", "a", On(","), On("a"), "b", On("a"), "\n", "c", "\n"),
        ("x", "x", On("x")),
    ),
    "capitalised in a comment": (("The", "#", On("The"), " the", "THE", "\n", " The"),),
    "number in brackets": (("1", "(", On("1"), "a", "[", On(" 25"), "]", On("3"), ")", "4"),),
    "self at a line's start": (
        (On(" self", 0.6), ".", " self", " return", "\n   ", On(" self"), "\n", "self", " self"),
    ),
    "except in a comment": ((" except", "#", On(" except"), "except", "\n", " except"),),
    "import and not equal": ((On(" import"), "import", On(" !=", 0.8), "!=", " =="),),
    "long numbers and else": ((On("10", 0.8), On(" else"), "else", "1", On(" 255", 0.8)),),
    "of and empty brackets": ((On(" of"), "of", On("()", 0.9), "().", "("),),
    "branches": ((On(" if"), On(" elif", 0.7), On(" else", 0.45), On(" while", 0.25), "if"),),
    "digits by value": (
        (On("0", 0.2), On(" 9"), On("3", 0.2 + 0.8 / 3), On("6", 0.2 + 1.6 / 3), "10", "x"),
    ),
    "depth of indentation": (
        (On("\n   ", 0.25), On("\n\n       ", 0.5), On("\n" + " " * 12, 0.75)),
        (On("\n" + " " * 19), "\n", "\n ", "    ", "\n\n"),
    ),
    "self but at a line's start": (
        (" self", ".", On(" self"), "\n   ", " self", " =", On(" self"), "self"),
    ),
    "numbers but 0 and 1": ((*on("2", " 9", "10", "00", "01"), "0", " 1", "x"),),
    "not but after is and if": (
        (On(" not"), " is", " not", On(" not"), " if", " not", " if", "(", On(" not"), "not"),
    ),
}
"""By the feature's name."""
