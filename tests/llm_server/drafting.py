"""The designer's texts: contexts cut out of exemplars, with one thing changed or taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any

from tests.llm_server.fitting import at
from tests.llm_server.ideas import Idea, pieces
from tests.llm_server.knowledge import STOCK, Knowledge, Site
from tests.llm_server.reading import Sheet, passage

_CLEAR = 6
"""Tenths of the scale from which a text surely fires."""
_LONGEST = 300
_USUAL = 8
_NUMBER = re.compile(
    r"\b(\d+|one|two|three|four|five|six|seven|eight|nine|ten)\s+"
    r"(?:\w+\s+)?(?:texts|experiments)\b(.{0,40})",
    re.IGNORECASE | re.DOTALL,
)
_NUMBERS = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_TOTAL = re.compile(r"\b(?:in all|in total|altogether|overall)\b")
_TURNS = (
    "positive",
    "minimal_pair",
    "negative_control",
    "positive",
    "near_miss",
    "context_ablation",
)
_STAND_INS = (" table", " quiet", " seven", " paper", " spring", " window")


@dataclass(frozen=True, slots=True)
class Draft:
    """A text, and the firing tokens it surely contains."""

    text: str
    firing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """A text to be measured, and what it should do if the hypothesis is true."""

    kind: str
    text: str
    expected: str


Pool = Mapping[str, Iterator[Draft]]
"""Drafts by kind, each the best first."""


def requested(sheet: Sheet, hypotheses: int) -> int:
    """Texts for each of so many hypotheses: as the schema or the instructions say, else eight."""
    most = (at(sheet.schema, "experiments") or {}).get("maxItems")
    if most is not None:
        return max(1, int(most) // hypotheses)
    said = _NUMBER.search(sheet.instructions)
    if said is None:
        return _USUAL
    word = said[1].lower()
    number = _NUMBERS.index(word) if word in _NUMBERS else int(word)
    return max(1, number // hypotheses if _TOTAL.search(said[2]) else number)


def used_texts(sheet: Sheet) -> frozenset[str]:
    """What was measured already, as `comparable` writes it."""
    return frozenset(comparable(passage(row.text).text) for row in sheet.results)


def comparable(text: str) -> str:
    """A text without what a listing may add or cut at its ends."""
    return text.strip("… \n")


def experiments(
    idea: Idea, known: Knowledge, number: int, used: frozenset[str], turn: int
) -> list[Trial]:
    """Up to `number` trials of an idea, of both expectations; another `turn` begins elsewhere."""
    taken = set(used)
    chosen: dict[str, list[Trial]] = {"active": [], "inactive": []}
    left: list[Trial] = []
    most = number if idea.silent else max(1, number - number // 4)
    pool = _silent_pool(idea, known, turn) if idea.silent else _pool(idea, known, turn)
    for kind, draft in _by_turns(pool):
        if sum(map(len, chosen.values())) == number:
            break
        if not comparable(draft.text) or comparable(draft.text) in taken:
            continue
        taken.add(comparable(draft.text))
        expected = idea.expects(draft.text, draft.firing)
        fitting = chosen[expected] if len(chosen[expected]) < most else left
        fitting.append(Trial(kind, draft.text, expected))
    return [*chosen["active"], *chosen["inactive"], *left][:number]


def _by_turns(pool: Pool) -> Iterator[tuple[str, Draft]]:
    left = dict(pool)
    while left:
        for kind in _TURNS:
            draft = next(left.get(kind, iter(())), None)
            if draft is None:
                left.pop(kind, None)
            else:
                yield kind, draft


def _pool(idea: Idea, known: Knowledge, turn: int) -> Pool:
    clear = [site for site in known.sites if site.mark.tenths >= _CLEAR]
    own = _turned([s for s in clear if _covers(idea, s)], turn)
    foreign = _turned([s for s in clear if not _covers(idea, s)], turn)
    quiet = _turned(known.quiet, turn)
    cuts = (_cut(site, (n + turn) % 4) for n in range(4) for site in own)
    others = (_cut(site, turn % 4) for site in foreign)
    return {
        "positive": chain(cuts, _planted(idea, quiet)),
        "minimal_pair": (_swapped(site, n + turn) for n in range(3) for site in own),
        "negative_control": chain(map(Draft, reversed(quiet)), _purged(idea, quiet)),
        "near_miss": chain(others, map(Draft, quiet)),
        "context_ablation": map(_bare, own),
    }


def _silent_pool(idea: Idea, known: Knowledge, turn: int) -> Pool:
    """Silent texts with what should not fire, as they are, changed or cut."""
    quiet = _turned(known.quiet, turn)
    holding = [text for text in quiet if idea.holds(text)]
    planted = _planted(idea, [*quiet, *STOCK])
    return {
        "near_miss": chain(map(Draft, holding), planted, _blends(holding)),
        "negative_control": (Draft("".join(pieces(text)[-8:])) for text in holding),
    }


def _covers(idea: Idea, site: Site) -> bool:
    until = site.text[: site.mark.end]
    begin = site.mark.start
    if idea.tokens and site.token not in idea.tokens:
        return False
    if not (idea.after or idea.quoted or idea.line_start or idea.token_class):
        return True
    return idea.holds(until) and (not idea.after or site.text[:begin].endswith(idea.after))


def _turned(items: Sequence[Any], turn: int) -> list[Any]:
    shift = turn % len(items) if items else 0
    return [*items[shift:], *items[:shift]]


def _cut(site: Site, variant: int) -> Draft:
    """The exemplar; its end at the token; its beginning shortened; both."""
    end = site.mark.end if variant in (1, 3) else len(site.text)
    before = pieces(site.before)
    if variant >= 2:
        before = before[-max(4, len(before) // 2) :]
    text = "".join(before) + site.text[site.mark.start : end]
    return Draft(_short(text, len("".join(before))), (site.token,))


def _bare(site: Site) -> Draft:
    """The token and what follows, without what came before."""
    return Draft(_short(site.text[site.mark.start :], 0), (site.token,))


def _swapped(site: Site, variant: int) -> Draft:
    """The exemplar with an ordinary word, or as little as there can be, for all that fires."""
    text = site.text
    for mark in sorted((site.mark, *site.others), key=lambda mark: -mark.start):
        text = text[: mark.start] + _stand_in(mark.token, variant) + text[mark.end :]
    return Draft(_short(text, site.mark.start))


def _stand_in(token: str, variant: int) -> str:
    if not token.strip():
        return " "
    if not any(char.isalnum() for char in token):
        return token[: len(token) - len(token.lstrip())] + ",;-"[variant % 3]
    word = _STAND_INS[variant % len(_STAND_INS)]
    return word if token.startswith(" ") else word.lstrip()


def _planted(idea: Idea, quiet: Sequence[str]) -> Iterator[Draft]:
    """What an idea speaks of, put into silent texts, in the middle and at the end."""
    phrases = [(_lead(idea, token), token) for token in idea.tokens]
    phrases = phrases or ([(' "', "so they said")] if idea.quoted else [])
    for divisor, (index, text) in product((2, 1), enumerate(quiet)):
        words = pieces(text)
        place = len(words) // divisor
        for lead, token in phrases[index % 3 : index % 3 + 3] or phrases[:1]:
            before = "".join([*words[:place], lead])
            planted = "".join([before, token, *words[place:]])
            yield Draft(_short(planted, len(before)), (token,))


def _lead(idea: Idea, token: str) -> str:
    """What must stand before a token for the idea to hold, and for the token to stand alone."""
    if idea.after:
        return idea.after[0]
    if idea.quoted:
        return ' "'
    return "\n" if idea.line_start or token[:1].isalnum() else ""


def _purged(idea: Idea, texts: Sequence[str]) -> Iterator[Draft]:
    """Texts without the words of which an idea speaks."""
    for text in texts:
        kept = "".join(piece for piece in pieces(text) if not idea.holds(piece))
        if kept != text and not idea.holds(kept):
            yield Draft(_short(kept, 0))


def _blends(texts: Sequence[str]) -> Iterator[Draft]:
    """The first half of one text and the second of the next."""
    for first, second in zip(texts, texts[1:], strict=False):
        head, tail = pieces(first), pieces(second)
        yield Draft(_short("".join([*head[: len(head) // 2], *tail[len(tail) // 2 :]]), 0))


def _short(text: str, keep: int) -> str:
    """At most `_LONGEST` characters around position `keep`."""
    start = max(0, min(keep - _LONGEST // 2, len(text) - _LONGEST))
    return text[start : start + _LONGEST]
