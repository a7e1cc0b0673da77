"""Token classes: what can be said of a surface without listing it."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

_OPERATORS = frozenset("=+-*/%<>!&|^~@:")
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about after all also an and any are as at be because been before but by can could do does
        each for from had has have he her his how i if in into is it its may might more most must no
        not of on one only or other our out over shall she should so some such than that the their
        them then there these they this those to under until up was we were what when where which
        while who whose why will with would you your
        """,
    )
)


@dataclass(frozen=True, slots=True)
class TokenClass:
    """A named set of surfaces that is decided by looking at the surface alone."""

    noun: str
    """Plural noun phrase."""
    holds: Callable[[str], bool]
    """Whether a surface belongs to it."""
    broad: bool = False
    """Whether unrelated tokens share it."""


def fold(surface: str) -> str:
    """A surface without its leading space and case; whitespace is left as it is."""
    return surface if surface.isspace() else surface.lstrip(" ").casefold()


def _is_capitalised(surface: str) -> bool:
    word = surface.lstrip(" ")
    return len(word) > 1 and word.isalpha() and word[0].isupper() and word[1:].islower()


def _starts_capital(surface: str) -> bool:
    return surface.lstrip(" ")[:1].isupper()


def _is_camel(surface: str) -> bool:
    word = surface.lstrip(" ")
    return word.isalnum() and not word.isupper() and any(char.isupper() for char in word[1:])


def _is_capitals(surface: str) -> bool:
    word = surface.lstrip(" ").replace("_", "")
    return len(word) > 1 and word.isalnum() and word.isupper()


def _is_letter(surface: str) -> bool:
    word = surface.lstrip(" ")
    return len(word) == 1 and word.isalpha()


def _is_punctuation(surface: str) -> bool:
    word = surface.strip()
    return bool(word) and all(unicodedata.category(char)[0] in "PS" for char in word)


def _consists_of(letters: frozenset[str]) -> Callable[[str], bool]:
    return lambda surface: bool(surface.strip()) and letters.issuperset(surface.strip())


def _is_indentation(surface: str) -> bool:
    return surface.isspace() and (surface.endswith("  ") or surface.endswith("\t"))


def _is_deep(surface: str) -> bool:
    return surface.isspace() and (surface.endswith(" " * 8) or surface.endswith("\t\t"))


def _starts_word(surface: str) -> bool:
    return len(surface) > 1 and surface[0] == " " and surface[1].isalpha()


def _is_foreign(surface: str) -> bool:
    return any(ord(char) > 127 and char.isalpha() for char in surface)


CLASSES: dict[str, TokenClass] = {
    "any": TokenClass("tokens of any kind", lambda surface: True, broad=True),
    "word": TokenClass("words", lambda surface: surface.lstrip(" ").isalpha(), broad=True),
    "lower_case": TokenClass(
        "lower-case words", lambda s: s.strip().isalpha() and s.islower(), broad=True
    ),
    "capitalised": TokenClass("capitalised words", _is_capitalised),
    "capitals": TokenClass("words in capitals", _is_capitals),
    "initial_capital": TokenClass("tokens that start with a capital", _starts_capital),
    "camel_case": TokenClass("words with a capital inside", _is_camel),
    "single_letter": TokenClass("single letters", _is_letter),
    "word_start": TokenClass("words after a space", _starts_word, broad=True),
    "word_piece": TokenClass(
        "words or word pieces without a space", lambda s: s[:1].isalpha(), broad=True
    ),
    "function_word": TokenClass(
        "common English function words", lambda surface: fold(surface) in _FUNCTION_WORDS
    ),
    "python_keyword": TokenClass(
        "Python keywords", lambda surface: keyword.iskeyword(surface.strip())
    ),
    "number": TokenClass("numbers", lambda surface: surface.strip().isdecimal()),
    "has_digit": TokenClass("tokens with a digit", lambda s: any(char.isdigit() for char in s)),
    "underscore": TokenClass("tokens with an underscore", lambda surface: "_" in surface),
    "punctuation": TokenClass("punctuation marks", _is_punctuation),
    "operator": TokenClass("operators", _consists_of(_OPERATORS)),
    "open_bracket": TokenClass("opening brackets", lambda s: s.strip()[-1:] in {"(", "[", "{"}),
    "close_bracket": TokenClass("closing brackets", lambda s: s.strip()[:1] in {")", "]", "}"}),
    "quote": TokenClass("quotation marks", _consists_of(frozenset("'\"`‘’“”«»"))),
    "sentence_end": TokenClass("sentence ends", _consists_of(frozenset(".!?"))),
    "whitespace": TokenClass("whitespace", str.isspace),
    "newline": TokenClass("line breaks", lambda surface: "\n" in surface),
    "indentation": TokenClass("indentation", _is_indentation),
    "deep_indentation": TokenClass("indentation by eight spaces or more", _is_deep),
    "non_ascii_letter": TokenClass("tokens with letters beyond ASCII", _is_foreign),
    "undecodable": TokenClass("pieces of undecodable bytes", lambda surface: "\ufffd" in surface),
}
"""Every class by name, as rules name them in JSON."""
