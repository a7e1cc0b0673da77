"""SAEs of one model share a pass over the corpus, and each finds what it would find alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from graphs.storage import open_database
from tests.fakes import fake_corpus
from tests.steered import Cli, make_cli
from tests.subjects import damage, make_model_dir, make_sae_dir
from tools.activations import Fired, FiringSource
from tools.errors import OutOfMemory
from tools.harvest import corpus_pass
from tools.harvest.schema import EXEMPLAR_DDL
from tools.model.readers import HookReader, read_together
from tools.shared_model import SharedModel, load_beside
from tools.subject import LoadedSubject, SaeSource, SubjectSpec, load_subject

TABLES = [ddl.split()[5] for ddl in EXEMPLAR_DDL if ddl.startswith("CREATE TABLE")]
SAES: dict[str, dict[str, Any]] = {
    "standard": {"hook_name": "blocks.1.hook_resid_post"},
    "jumprelu": {"hook_name": "blocks.0.hook_mlp_out", "architecture": "jumprelu", "d_sae": 40},
    "topk": {"hook_name": "blocks.2.hook_resid_pre", "architecture": "topk", "seed": 4},
    "gated": {"hook_name": "blocks.1.attn.hook_z", "architecture": "gated", "seed": 5},
}
FEATURES = ["3", "7-9", "random:4"]


class Batches:
    """Every batch of a harvest, by who is asked; may run out of memory, or be stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shared: list[bool] = []
        self.most_windows: int | None = None
        self.stop_after: int | None = None
        self._fire = vars(corpus_pass)["_fired"]
        monkeypatch.setattr(corpus_pass, "_fired", self._fired)
        # One after the other, so that a stop comes where it is said to.
        monkeypatch.setattr("tools.model.lanes.MOST_LANES", 1)

    def _fired(
        self, source: FiringSource, ids: Sequence[Sequence[int]], features: Sequence[int]
    ) -> Fired:
        if len(self.shared) == self.stop_after:
            raise KeyboardInterrupt
        if self.most_windows is not None and len(ids) > self.most_windows:
            raise OutOfMemory("too many")
        self.shared.append(isinstance(source, SharedModel))
        return self._fire(source, ids, features)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    return Batches(monkeypatch)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return make_cli(monkeypatch, capsys)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir(tmp_path_factory.mktemp("several") / "model")


@pytest.fixture
def config(tmp_path: Path, model: Path) -> Callable[..., Path]:
    """Writes `name.yaml` with an SAE made for it, and a database `name.duckdb`."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n\n".join(fake_corpus(40)))

    def write(name: str, model: Path = model, **changes: Any) -> Path:
        sae = tmp_path / f"sae-{name}"
        if not sae.exists():
            make_sae_dir(sae, **changes.pop("sae", SAES.get(name, {})))
        content = {
            "subject": {"model": str(model), "sae": {"path": str(sae)}},
            "corpus": {"source": str(corpus), "max_tokens": 6000, "memory_gib": 0.001},
            "features": FEATURES,
            "database": str(tmp_path / f"{name}.duckdb"),
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return write


def stored(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of a harvest, by table."""
    with open_database(str(path.with_suffix(".duckdb")), create=False) as database:
        return {table: database.rows(f"FROM {table} ORDER BY ALL") for table in TABLES}


def alone(cli: Cli, paths: Sequence[Path]) -> list[dict[str, list[tuple[Any, ...]]]]:
    """What each config stores by itself; its database is deleted again."""
    found: list[dict[str, list[tuple[Any, ...]]]] = []
    for path in paths:
        assert cli("harvest", path).code in (0, 1)
        found.append(stored(path))
        path.with_suffix(".duckdb").unlink()
    return found


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox", "gemma2"])
def test_one_pass_finds_what_a_pass_for_each_finds(
    cli: Cli, batches: Batches, config: Callable[..., Path], tmp_path: Path, architecture: str
) -> None:
    model = make_model_dir(tmp_path / "model", architecture)
    paths = [config(name, model) for name in SAES]
    expected = alone(cli, paths)
    assert all(len(rows["feature_statistics"]) == 8 for rows in expected)
    per_pass = len(batches.shared) // len(paths)
    batches.shared.clear()
    result = cli("harvest", *paths)
    assert result.code == 0
    assert [line.split(": ")[1] for line in result.out.splitlines()] == [
        f"8 features in {path.with_suffix('.duckdb')}" for path in paths
    ]
    assert batches.shared == [True] * per_pass
    assert [stored(path) for path in paths] == expected


def test_explain_reads_what_is_stored(
    cli: Cli, batches: Batches, config: Callable[..., Path]
) -> None:
    paths = [config("standard", features=[3, "random:1"]), config("topk")]
    assert cli("harvest", *paths).code == 0
    assert set(batches.shared) == {True}
    before = stored(paths[0])
    batches.shared.clear()
    assert cli("explain", paths[0], "--set", "budget.rounds=1").code in (0, 1)
    assert batches.shared == []
    assert stored(paths[0]) == before


def test_other_windows_and_other_models_are_measured_apart(
    cli: Cli, batches: Batches, config: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_model_dir(tmp_path / "other", seed=1)
    paths = [
        *(config("standard"), config("topk")),
        config("short", sae={"seed": 1}),
        config("seeded", seed=1),
        config("other", other),
        config("without", sae={"seed": 2}),
    ]
    # The last one's windows are as long as those behind a BOS, which it does not have.
    says = {"short": {"context_size": 32}, "without": {"context_size": 63, "prepend_bos": False}}
    for name, metadata in says.items():
        described = tmp_path / f"sae-{name}" / "cfg.json"
        content = json.loads(described.read_text())
        content["metadata"] |= metadata
        described.write_text(json.dumps(content))
    expected = alone(cli, paths)
    batches.shared.clear()
    assert cli("harvest", *paths).code == 0
    assert [stored(path) for path in paths] == expected
    assert set(batches.shared) == {True, False}
    batches.shared.clear()
    equal = ("--set", "corpus.context_size=20", "--db", tmp_path / "all.duckdb")
    assert cli("harvest", *paths[:3], *equal).code == 0
    assert set(batches.shared) == {True}, "asked for, windows are equal whatever the SAE's own"


def test_a_killed_one_goes_on(cli: Cli, batches: Batches, config: Callable[..., Path]) -> None:
    paths = [config("standard"), config("topk")]
    expected = alone(cli, paths)
    whole = len(batches.shared) // 2
    batches.shared.clear()
    batches.stop_after = whole - 1
    result = cli("harvest", *paths)
    assert (result.code, result.out) == (130, "")
    assert "go on with the same command" in result.err
    batches.shared.clear()
    batches.stop_after = None
    assert cli("harvest", *paths).code == 0
    assert 0 < len(batches.shared) < whole
    assert [stored(path) for path in paths] == expected
    assert not list(paths[0].parent.glob("*.harvest"))


def test_too_large_a_batch_is_halved_for_all(
    cli: Cli, batches: Batches, config: Callable[..., Path]
) -> None:
    paths = [config("standard"), config("topk")]
    expected = alone(cli, paths)
    batches.most_windows = 8
    batches.shared.clear()
    with pytest.warns(RuntimeWarning, match="not enough memory"):
        assert cli("harvest", *paths).code == 0
    assert len(batches.shared) > 8
    assert [stored(path) for path in paths] == expected


def test_what_is_not_finite_fails_alone(
    cli: Cli, batches: Batches, config: Callable[..., Path], tmp_path: Path
) -> None:
    """Some features of one SAE, all of another, and the hook point of a third."""
    model = make_model_dir(tmp_path / "model")
    damage(model / "model.safetensors", "transformer.h.2.mlp.c_proj.bias", 0, float("nan"))
    paths = [config(name, model) for name in ("standard", "some", "all")]
    paths.append(config("deep", model, sae={"hook_name": "blocks.2.hook_resid_post"}))
    damage(tmp_path / "sae-some" / "sae_weights.safetensors", "b_enc", 8, float("nan"))
    damage(tmp_path / "sae-all" / "sae_weights.safetensors", "b_dec", 8, float("nan"))
    expected = alone(cli, paths[:2])
    batches.shared.clear()
    result = cli("harvest", *paths)
    assert result.code == 1
    assert set(batches.shared) == {True}
    assert [stored(path) for path in paths[:2]] == expected
    assert [stored(path)["harvests"] for path in paths[2:]] == [[], []]
    assert f"{paths[1]}: 7 features in" in result.out
    for wanted in (
        f"{paths[1]}: feature 8 failed: NaN or infinity at feature 8 on text",
        f"error: {paths[2]}: NaN or infinity at feature",
        f"error: {paths[3]}: NaN or infinity at the hook point on text",
    ):
        assert wanted in result.err
    assert str(paths[0]) not in result.err
    explained = cli("explain", paths[1], "--features", "3,8", "--set", "budget.rounds=1")
    assert explained.code == 1
    assert "NaN or infinity at feature 8" in explained.out + explained.err
    assert len(stored(paths[1])["feature_statistics"]) == 7


def test_bad_input_is_named_and_the_others_are_measured(
    cli: Cli, config: Callable[..., Path], tmp_path: Path
) -> None:
    good = config("standard")
    expected = alone(cli, [good])
    assert cli("harvest").code == 2
    twice = cli("harvest", good, tmp_path / "." / good.name)
    assert (twice.code, "named twice" in twice.err) == (2, True)
    missing = cli("harvest", good, tmp_path / "none.yaml")
    assert (missing.code, "there is no config file" in missing.err) == (2, True)
    assert not good.with_suffix(".duckdb").exists()
    bad = {
        "wide": {"sae": {"d_in": 40}},
        "far": {"sae": {}, "features": [48]},
        "unread": {"sae": {}, "corpus": {"source": str(tmp_path / "none.txt")}},
        "long": {"sae": {}, "corpus": {"source": str(tmp_path / "*.txt"), "context_size": 65}},
        "dead": {"sae": {}, "features": ["random:48"]},
    }
    paths = [config(name, **changes) for name, changes in bad.items()]
    result = cli("harvest", *paths, good)
    assert result.code == 2
    for path, reason in zip(
        paths,
        ("gives 32 there", "asks for feature 48", "none.txt", "context_size is 65", "but only"),
        strict=True,
    ):
        assert any(
            line.startswith(f"error: {path}: ") and reason in line
            for line in result.err.splitlines()
        ), path
    assert stored(good) == expected[0]


def test_one_reads_between_projection_and_activation_has_a_model_of_its_own(
    model: Path, tmp_path: Path
) -> None:
    """Fusing the two, as is done for the others, would leave nothing to read there."""
    inside = {"hook_name": "transformer.h.0.mlp.c_fc", "d_in": 128}
    for name, sae in {"outside": {}, "again": {"seed": 1}, "inside": inside}.items():
        make_sae_dir(tmp_path / name, **sae)
    specs = {
        name: SubjectSpec(str(model), SaeSource(path=str(tmp_path / name)))
        for name in ("outside", "again", "inside")
    }
    outside = load_subject(specs["outside"])
    inside = load_beside(specs["inside"], [outside])
    assert inside.model is not outside.model
    for others in ([outside, inside], [inside, outside]):
        assert load_beside(specs["again"], others).model is outside.model
    assert load_beside(specs["again"], [inside]).model is not inside.model


def _double(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    del module
    inputs[0].mul_(2.0)


def test_a_model_that_writes_into_its_tensors_changes_nothing_that_was_read(
    model: Path, tmp_path: Path
) -> None:
    """What is read at an early hook point stays as it was when the pass went by."""
    readers: list[HookReader] = []
    loaded: list[LoadedSubject] = []
    for name in ("blocks.1.hook_resid_post", "blocks.2.hook_resid_post"):
        make_sae_dir(tmp_path / name, hook_name=name)
        spec = SubjectSpec(str(model), SaeSource(path=str(tmp_path / name)))
        loaded.append(load_beside(spec, loaded))
        assert isinstance(reader := loaded[-1].reader, HookReader)
        readers.append(reader)
    loaded[0].model.get_submodule("transformer.h.2").register_forward_pre_hook(_double)
    ids = torch.arange(12)[None]
    with torch.inference_mode():
        alone = [reader.read(ids) for reader in readers]
        together = read_together(readers, ids)
    for expected, found in zip(alone, together, strict=True):
        assert torch.equal(expected, found)
