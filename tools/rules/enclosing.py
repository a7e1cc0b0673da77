"""What encloses text: automata for strings, comments, quotations, parentheses and brackets."""

from __future__ import annotations

from tools.rules.automaton import PREFIX, START, WORD, Automaton

_TRIPLE, _ESCAPED, _OPENED, _CLOSING, _SECOND = "triple", "escaped", "opened", "closing", "second"


def _string_states() -> dict[tuple[str, str], int]:
    """Numbers of the states of `STRING`, by the mark that opened it and what came since."""
    names = [("", ""), ("", WORD), ("", PREFIX), ("#", "")]
    for mark in "'\"":
        names += [(mark, way) for way in ("", _ESCAPED, _OPENED, _SECOND)]
        names += [(mark, f"{_TRIPLE}{way}") for way in ("", _ESCAPED, _CLOSING, _SECOND)]
    return {name: number for number, name in enumerate(names)}


_STRING = _string_states()
_NAMES = tuple(_STRING)


def _string_step(state: int, char: str) -> int:
    mark, way = _NAMES[state]
    if mark == "#":
        return START if char == "\n" else state
    if not mark:
        return _STRING[_outside(way, char)]
    if way.startswith(_TRIPLE):
        return _STRING[_in_triple(mark, way.removeprefix(_TRIPLE), char)]
    return _STRING[_in_string(mark, way, char)]


def _outside(way: str, char: str) -> tuple[str, str]:
    # An apostrophe stands behind a letter; a string's mark only behind its prefix.
    if char == '"' or (char == "'" and way != WORD):
        return char, _OPENED
    if char == "#":
        return "#", ""
    if char in (WORD, PREFIX):
        return "", char if not way else WORD
    return "", WORD if char == "\ufffd" else ""


def _in_string(mark: str, way: str, char: str) -> tuple[str, str]:
    if way == _SECOND:
        return (mark, _TRIPLE) if char == mark else _outside("", char)
    if way == _ESCAPED:
        return mark, ""
    if char == mark:
        return (mark, _SECOND) if way == _OPENED else ("", "")
    if char == "\n":
        return "", ""
    return mark, _ESCAPED if char == "\\" else ""


def _in_triple(mark: str, way: str, char: str) -> tuple[str, str]:
    if way == _ESCAPED:
        return mark, _TRIPLE
    if char == mark:
        further = {"": _CLOSING, _CLOSING: _SECOND}
        return (mark, _TRIPLE + further[way]) if way in further else ("", "")
    return mark, _TRIPLE + (_ESCAPED if char == "\\" else "")


STRING = Automaton(len(_STRING), _string_step)
"""Strings of program text: between ' or " on one line, or three of either, escapes minded."""
IN_STRING = frozenset(
    number for (mark, way), number in _STRING.items() if mark in ("'", '"') and way != _SECOND
)


def _slash_step(state: int, char: str) -> int:
    """States: 0 text, 1 a slash, 2 line comment, 3 block comment, 4 its star, 5 colon, 6 `:/`."""
    if state == 2:
        return START if char == "\n" else 2
    if state in (3, 4):
        return START if state == 4 and char == "/" else 4 if char == "*" else 3
    if state == 1 and char in "/*":
        return 2 if char == "/" else 3
    if char == "/":
        return {0: 1, 5: 6}.get(state, START)
    return 5 if char == ":" else START


SLASH_COMMENT = Automaton(7, _slash_step)
"""Comments behind // and between /* and */; the // of an address such as https:// is none."""
IN_SLASH_COMMENT = frozenset({2, 3, 4})

_CLOSES = ('"', "\u201d\u201c", "\u00bb")
_OPENS = {'"': 0, "\u201c": 1, "\u201e": 1, "\u00ab": 2}


def _quotation_step(state: int, char: str) -> int:
    """States: 0 outside, 1 to 3 inside by kind of mark, 4 to 6 the same behind a line break."""
    if not state:
        return _OPENS[char] + 1 if char in _OPENS else START
    kind, broken = (state - 1) % 3, state > 3
    if char in _CLOSES[kind] or (broken and char == "\n"):
        return START
    return kind + 4 if char == "\n" or (broken and char.isspace()) else kind + 1


QUOTATION = Automaton(7, _quotation_step)
"""Quotations of prose: straight, curly or angled marks, over lines but not over an empty one."""
IN_QUOTATION = frozenset(range(1, 7))

_DEEPEST = 63
"""Brackets within brackets that are counted."""


def _parenthesis_step(state: int, char: str) -> int:
    """States: twice the number of open parentheses, plus one behind a line break."""
    depth, broken = divmod(state, 2)
    if char == "\n":
        return START if broken else 2 * depth + 1
    if char.isspace():
        return state
    change = (char == "(") - (char == ")")
    return 2 * min(max(depth + change, 0), _DEEPEST)


PARENTHESES = Automaton(2 * (_DEEPEST + 1), _parenthesis_step)
"""Round brackets that were opened and not closed since, in the same paragraph."""
IN_PARENTHESES = frozenset(range(2, 2 * (_DEEPEST + 1)))


def _bracket_step(depth: int, char: str) -> int:
    return min(max(depth + (char in "([{") - (char in ")]}"), 0), _DEEPEST)


BRACKETS = Automaton(_DEEPEST + 1, _bracket_step)
"""Brackets of any kind that were opened and not closed since; one that closes none counts for
nothing, as a text may begin inside some."""
IN_BRACKETS = frozenset(range(1, _DEEPEST + 1))
