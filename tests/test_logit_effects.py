"""What a feature writes towards the next token is its decoder direction times the unembedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

from graphs.storage import open_database
from tests.fakes import FakeSubject
from tests.subjects import make_model_dir, make_sae_dir
from tools.errors import FeatureOutOfRange
from tools.logit_effects import TOKENS, keep_logit_effects, stored_logit_effects
from tools.subject import LoadedSubject, SaeSource, SubjectSpec, load_subject


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logits")
    make_model_dir(folder / "model")
    return folder


def loaded(folder: Path, hook_name: str, **options: object) -> LoadedSubject:
    path = make_sae_dir(folder / hook_name, hook_name=hook_name, **options)
    return load_subject(SubjectSpec(str(folder / "model"), SaeSource(path=str(path))))


def test_they_are_what_plain_numpy_computes(folder: Path) -> None:
    subject = loaded(folder, "blocks.1.hook_resid_post")
    decoder = load_file(folder / "blocks.1.hook_resid_post" / "sae_weights.safetensors")["W_dec"]
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    unembedding = model.get_output_embeddings().weight.detach().numpy()
    for effects in subject.logit_effects([7, 0], 5):
        logits = unembedding @ decoder[effects.feature]
        logits -= logits.mean()
        order = np.argsort(-logits)
        for found, expected in ((effects.top, order[:5]), (effects.bottom, order[::-1][:5])):
            assert [token for token, _ in found] == subject.surfaces(expected.tolist())
            np.testing.assert_allclose([x for _, x in found], logits[expected], atol=1e-5)


@pytest.mark.parametrize("hook_name", ["blocks.1.attn.hook_z", "blocks.1.ln2.hook_normalized"])
def test_an_sae_that_does_not_write_to_the_residual_stream_has_none(
    folder: Path, hook_name: str
) -> None:
    assert loaded(folder, hook_name).logit_effects([0], 5) == []


def test_a_feature_that_does_not_exist_is_refused(folder: Path) -> None:
    with pytest.raises(FeatureOutOfRange, match="48"):
        loaded(folder, "blocks.1.hook_resid_post").logit_effects([48], 5)


def test_they_are_stored_once_and_read_without_a_model(folder: Path, tmp_path: Path) -> None:
    subject = loaded(folder, "blocks.1.hook_resid_post")
    with open_database(str(tmp_path / "run.duckdb"), create=True) as database:
        keep_logit_effects(database, subject, [3])
        keep_logit_effects(database, subject, [3, 4])
        assert database.rows("SELECT feature FROM logit_effects ORDER BY feature") == [(3,), (4,)]
        [expected] = subject.logit_effects([3], TOKENS)
        assert stored_logit_effects(database, subject.info.fingerprint, 3) == expected
        assert stored_logit_effects(database, subject.info.fingerprint, 5) is None


def test_a_subject_that_cannot_tell_leaves_no_rows(tmp_path: Path) -> None:
    with open_database(str(tmp_path / "run.duckdb"), create=True) as database:
        keep_logit_effects(database, FakeSubject(), [0])
        assert database.rows("SELECT * FROM logit_effects") == []
