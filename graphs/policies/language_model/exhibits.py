"""What the corpus says of a feature, as rows for a prompt: counts, tokens, contexts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.policies.language_model.words import shortened
from graphs.policies.protocols import Dossier
from tools.exemplars import Exemplar, TokenStatistic
from tools.llm.data_blocks import Row, line_of

MARKED = 0.05
"""Share of the scale from which a token is marked with its activation."""
LEAST_SHARE = 0.0005
"""Share of the feature's activation below which a token is left out of the table."""
LONGEST_TOKEN = 40
"""Characters of one token that are shown."""
DOUBTFUL = 0.9
"""A token that fires less often than this depends on its context, and is shown in two."""
REACH = 12
"""Tokens of a context shown on each side, where there is room."""
BEFORE = 5
"""Tokens shown before a token of the table."""
_GAP = "\u2009"
"""Stands between a mark's number and text that would be read as part of it."""
_NEEDLESS_GAP = re.compile(rf"(»\d+){_GAP}(?![\d{_GAP}])")
_NO_MARKS = str.maketrans("«»", "‹›")
"""So that nothing in a corpus looks like a mark."""


def feature_rows(dossier: Dossier) -> list[Row]:
    """How often the feature fires."""
    counts = dossier.statistics
    return [
        {
            "tokens": counts.n_tokens,
            "active_tokens": counts.n_active_tokens,
            "active_windows": counts.n_active_windows,
        }
    ]


def threshold_values(dossier: Dossier) -> dict[str, str]:
    """What counts as active and as inactive, by placeholder."""
    thresholds = dossier.thresholds
    return {"active": f"{thresholds.active:g}", "inactive": f"{thresholds.inactive:g}"}


def token_rows(dossier: Dossier, most: int, *, in_context: int = 0) -> list[Row]:
    """The tokens that carry the feature's activation, those with the largest share first.

    Args:
        dossier: what is known of the feature.
        most: number of rows.
        in_context: number of tokens that fire now and then that are shown with a context where
            they do and one where they do not.
    """
    table = [row for row in dossier.token_table[:most] if row.share >= LEAST_SHARE]
    rows = [_token_row(row, dossier.statistics.scale) for row in table]
    doubtful = [row.token for row in table if row.n_active < DOUBTFUL * row.n_present]
    contexts = _contexts(dossier.exemplars, doubtful[:in_context])
    return [
        {**row, **contexts.get(entry.token, {})} for row, entry in zip(rows, table, strict=True)
    ]


def _token_row(row: TokenStatistic, scale: float) -> dict[str, object]:
    total = row.mean_activation * row.n_present
    return {
        "token": shortened(row.token, LONGEST_TOKEN),
        "share": round(row.share, 4),
        "mean": round(total / max(row.n_active, 1) / scale, 2) if scale else 0.0,
        "fires": round(row.n_active / row.n_present, 3),
        "n": row.n_present,
    }


class _Occurrence(NamedTuple):
    activation: float
    text: str


def _contexts(exemplars: Sequence[Exemplar], tokens: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each token, where it fires strongest (`on`) and where it stays silent (`off`)."""
    if not tokens:
        return {}
    wanted = set(tokens)
    loudest: dict[str, _Occurrence] = {}
    silent: dict[str, str] = {}
    for exemplar in exemplars:
        for index, token in enumerate(exemplar.tokens):
            if token not in wanted:
                continue
            activation = float(exemplar.activations[index])
            if activation > 0:
                known = loudest.get(token)
                if known is None or activation > known.activation:
                    loudest[token] = _Occurrence(activation, _up_to(exemplar, index))
            elif index and token not in silent:
                silent[token] = _up_to(exemplar, index)
    on = {token: {"on": occurrence.text} for token, occurrence in loudest.items()}
    return {token: {**on.get(token, {}), **_off(silent.get(token))} for token in wanted}


def _up_to(exemplar: Exemplar, index: int) -> str:
    text = "".join(exemplar.tokens[max(0, index - BEFORE) : index + 1])[-60:]
    return text.translate(_NO_MARKS)


def _off(text: str | None) -> dict[str, str]:
    return {} if text is None else {"off": text}


def exemplar_rows(
    exemplars: Iterable[Exemplar],
    dossier: Dossier,
    bands: Mapping[str, int],
    longest: int,
) -> Iterator[Row]:
    """Contexts with every active token marked, band by band in the order of `bands`.

    Args:
        exemplars: what to choose from, ordered by rank within each band.
        dossier: what is known of the feature.
        bands: how many to take of each band.
        longest: characters of a text, as it is written in JSON.
    """
    pool = list(exemplars)
    loud = {row.token: row.mean_activation for row in dossier.token_table}
    seen: set[str] = set()
    for band, most in bands.items():
        rows = (
            _exemplar_row(exemplar, dossier.statistics.scale, loud, longest)
            for exemplar in pool
            if exemplar.band == band
        )
        # Corpora repeat themselves: a text that was shown tells nothing more.
        fresh = (row for row in rows if row["text"] not in seen)
        for row in islice(fresh, most):
            seen.add(row["text"])
            yield row


def _exemplar_row(exemplar: Exemplar, scale: float, loud: Mapping[str, float], longest: int) -> Row:
    return {
        "band": exemplar.band,
        "max": round(exemplar.max_activation / (scale or 1.0), 2),
        "text": excerpt(
            exemplar.tokens,
            np.asarray(exemplar.activations) / (scale or 1.0),
            _centre(exemplar, loud),
            longest,
        ),
    }


def _centre(exemplar: Exemplar, loud: Mapping[str, float]) -> int:
    """The token to look at: the loudest, or where all are silent, the one that usually is loud."""
    if exemplar.max_activation > 0:
        return exemplar.peak
    expected = [loud.get(token, 0.0) for token in exemplar.tokens]
    loudest = int(np.argmax(expected))
    return loudest if expected[loudest] > 0 else len(expected) // 2


def excerpt(
    tokens: Sequence[str],
    activations: NDArray[np.floating],
    centre: int,
    longest: int,
    reach: int = REACH,
) -> str:
    """The text around a token, marked: `we «return»9 it`.

    A token with at least 0.05 of the scale is followed by its activation in tenths of the scale,
    and by a thin space (U+2009), which is no part of the text, where a digit or another thin space
    comes next. Marks in the text itself become ‹ and ›.

    Args:
        tokens: surfaces.
        activations: shape (n_tokens,), as shares of the scale.
        centre: index of the token in the middle.
        longest: characters of the result, as it is written in JSON.
        reach: tokens shown on each side, where there is room.
    """
    begin = max(0, centre - reach)
    here = slice(begin, centre + reach + 1)
    marked = [_marked(t, a) for t, a in zip(tokens[here], activations[here].tolist(), strict=True)]
    for around in range(reach, 0, -1):
        text = _joined(marked[max(0, centre - begin - around) : centre - begin + around + 1])
        if len(line_of(text)) <= longest:
            return text
    return _joined(marked[centre - begin : centre - begin + 1])


def _marked(token: str, activation: float) -> str:
    shown = shortened(token, LONGEST_TOKEN).translate(_NO_MARKS)
    return f"«{shown}»{int(10 * activation + 0.5)}{_GAP}" if activation >= MARKED else shown


def _joined(marked: Sequence[str]) -> str:
    return _NEEDLESS_GAP.sub(r"\1", "".join(marked))
