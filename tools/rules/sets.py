"""Sets of tokens in words: listed if they are few, else summed up by what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from os.path import commonprefix

from tools.rules.classes import CLASSES, TokenClass, fold
from tools.rules.detail import FULL, Detail
from tools.rules.wording import count, listing, numeral, spelled, visible

_SHORTEST_STEM = 3
"""Characters that tokens must have in common to be summed up by them."""
_LEAST_SHARE = 0.5
"""Of the tokens must be of a class for it to be said before the others."""


@lru_cache(maxsize=4096)
def tokens_in_words(tokens: tuple[str, ...], detail: Detail = FULL) -> str:
    """A set of tokens as a noun phrase, the first ones as examples."""
    items = spelled(tokens)
    if len(tokens) == 1 or len(items) <= detail.listed:
        return _listed(tokens, items, detail)
    if (shared := _shared(tokens)) is not None:
        return _examples(shared, tokens, detail)
    if (parted := _parted(tokens)) is not None:
        kind, most, rest = parted
        first = _examples(_shared(most) or kind.counted(len(most)), most, detail)
        return f"{first} and {_examples(f'{numeral(len(rest))} other tokens', rest, detail)}"
    return _examples(f"{numeral(len(tokens))} {_broad(tokens)}", tokens, detail)


def kind_of(tokens: Sequence[str]) -> str | None:
    """The narrowest class that all of `tokens` belong to, if it says something of them."""
    kind = _kind(tokens)
    return kind.noun if kind else None


def _listed(tokens: Sequence[str], items: Sequence[str], detail: Detail) -> str:
    """All of them; words that are there with and without a space are said once."""
    bodies = list(dict.fromkeys(token.lstrip(" ") for token in tokens))
    if len(tokens) == 2 * len(bodies) and {*tokens} == {*bodies, *(f" {body}" for body in bodies)}:
        return f"{listing(list(map(visible, bodies)), detail.joint)} with or without a space"
    said = listing(items, detail.joint)
    if detail.joint == "or" or all(token.isspace() for token in tokens):
        return said
    return f"the {'token' if len(tokens) == 1 else 'tokens'} {said}"


def _examples(what: str, tokens: Sequence[str], detail: Detail) -> str:
    """`what`, with the first few tokens that are not spellings of each other."""
    firsts: dict[str, str] = {}
    for token in tokens:
        firsts.setdefault(fold(token), token)
    shown = [visible(token) for token in firsts.values()][: detail.listed // 2]
    return f"{what} such as {listing(shown)}" if len(firsts) > 1 and shown else what


def _shared(tokens: Sequence[str]) -> str | None:
    """What all tokens have in common, if it says something of them."""
    forms = list(dict.fromkeys(map(fold, tokens)))
    if len(forms) == 1:
        return f"{visible(forms[0])} in {count(len(tokens), 'spelling')}"
    if (kind := _kind(tokens)) is not None:
        return kind.counted(len(tokens))
    stem, ending = commonprefix(forms), commonprefix([form[::-1] for form in forms])[::-1]
    for shared, how in ((stem, "begin"), (ending, "end")):
        if len(shared.strip()) >= _SHORTEST_STEM:
            return f"{numeral(len(tokens))} tokens that {how} with {visible(shared)}"
    return None


@lru_cache(maxsize=4096)
def _kinds(surface: str) -> frozenset[str]:
    """The names of the classes of a surface that say something of it."""
    return frozenset(name for name, c in CLASSES.items() if not c.broad and c.holds(surface))


def _kind(tokens: Sequence[str]) -> TokenClass | None:
    shared = frozenset[str].intersection(*map(_kinds, tokens))
    return next((CLASSES[name] for name in reversed(CLASSES) if name in shared), None)


def _parted(tokens: Sequence[str]) -> tuple[TokenClass, list[str], list[str]] | None:
    """The class that most of the tokens belong to, with those and the rest, if there is one."""
    sizes = Counter(name for token in tokens for name in _kinds(token))
    name = max(reversed(CLASSES), key=lambda name: sizes[name])
    most = [token for token in tokens if name in _kinds(token)]
    rest = [token for token in tokens if name not in _kinds(token)]
    if len(most) < _LEAST_SHARE * len(tokens) or len(rest) < 2:
        return None
    return CLASSES[name], most, rest


def _broad(tokens: Sequence[str]) -> str:
    if not all(token.lstrip(" ").isalpha() for token in tokens):
        return "tokens"
    return "words" if all(token[0] == " " for token in tokens) else "words and word pieces"
