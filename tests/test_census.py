"""The census: the same text for every feature, and all that fires in it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fakes import FakeSubject, fake_corpus
from tools.census import STEPS, levels_of
from tools.corpus import CorpusSpec
from tools.harvest import common_text
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import sample_corpus

FEATURES = range(8)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Harvest:
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n\n\n".join(fake_corpus(n_documents=40)))
    subject = FakeSubject()
    return harvest(subject, sample_corpus(subject, CorpusSpec(str(path)), 0), FEATURES)


def dense(measured: Harvest, feature: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Levels on every token that was looked at."""
    census = measured.census(feature)
    levels = np.zeros(census.n_tokens)
    levels[census.places] = census.levels
    return levels


@pytest.mark.parametrize("feature", FEATURES)
def test_it_says_of_every_token_whether_and_how_it_fires(measured: Harvest, feature: int) -> None:
    census, scale = measured.census(feature), measured.statistics(feature).scale
    tokens = census.text.tokens[: census.n_windows]
    ids = {(w.document, w.position): w.token_ids for w in measured.sample.windows}
    keys = zip(census.text.documents, census.text.positions, strict=True)
    windows = [ids[key] for key in keys][: census.n_windows]
    truth = np.concatenate([v[:, 0] for v in FakeSubject().encode_windows(windows, [feature])])
    assert sum(map(len, tokens)) == len(truth) == census.n_tokens
    assert ((dense(measured, feature) > 0) == (truth > 0)).all()
    if scale:
        expected = np.clip(truth / scale, 0, 1)
        assert dense(measured, feature) / STEPS == pytest.approx(expected, abs=1.01 / STEPS)


def test_it_is_of_the_propose_split_alone_and_the_same_for_all(measured: Harvest) -> None:
    text = measured.census(0).text
    assert set(text.documents) <= measured.sample.documents("propose")
    assert all(measured.census(feature).text is text for feature in FEATURES)
    assert len(text.tokens) == text.n_proposed
    assert len(set(text.numbers.values())) == text.n_proposed


def test_a_feature_that_fires_often_is_counted_in_fewer_windows(
    measured: Harvest, monkeypatch: pytest.MonkeyPatch
) -> None:
    loudest = max(FEATURES, key=lambda feature: len(measured.census(feature).places))
    whole = measured.census(loudest)
    monkeypatch.setattr(common_text, "CENSUS_FIRINGS", len(whole.places) // 2)
    part = measured.census(loudest)
    assert 0 < part.n_windows < whole.n_windows
    assert len(part.places) <= len(whole.places) // 2
    assert (part.places == whole.places[: len(part.places)]).all()
    following = whole.places[len(part.places)]
    assert following >= part.n_tokens


def test_what_is_faint_still_fires_and_what_exceeds_the_scale_is_full() -> None:
    assert levels_of(np.array([1e-6, 0.5, 3.0]), 1.0).tolist() == [1, 16, 31]
