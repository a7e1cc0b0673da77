"""Passes side by side find what passes one after the other find, and leave torch as it was."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.subjects import make_model_dir
from tests.test_harvest_engine import WIDTH, random_windows, subject_with
from tools.harvest.firings import lay_out, measure_firings
from tools.model.lanes import open_lanes


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir(tmp_path_factory.mktemp("model"))


@pytest.fixture(params=[1, 2, 3, 8])
def n_threads(request: pytest.FixtureRequest) -> Generator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("architecture", ["topk", "standard"])
def test_any_number_of_lanes_finds_the_same(
    model_dir: Path, tmp_path: Path, architecture: str, n_threads: int
) -> None:
    subject = subject_with(model_dir, tmp_path / "sae", architecture)
    sample = random_windows(7)
    layout, every = lay_out(sample), range(WIDTH)
    table = measure_firings(subject, sample, layout, every, batch_tokens=40)
    alone = [subject.encode_windows([window.token_ids], every)[0] for window in sample.windows]
    dense = np.maximum(np.concatenate(alone), 0)
    found = np.zeros_like(dense)
    for feature in every:
        firings = table.of(feature)
        found[firings.places, feature] = firings.values
    assert (dense > 0).any()
    np.testing.assert_allclose(found, dense, atol=2e-5)


def test_lanes_share_the_threads_and_later_threads_get_all(n_threads: int) -> None:
    n_lanes = min(2, n_threads)
    with open_lanes(n_lanes) as lanes:
        each = {lanes.submit(torch.get_num_threads).result() for _ in range(4)}
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == n_threads
    assert each == {max(1, n_threads // n_lanes)}
    assert torch.get_num_threads() == n_threads
