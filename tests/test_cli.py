"""The commands as a user meets them: results, errors, exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.steered import Cli, make_cli
from tests.subjects import damage, make_model_dir, make_sae_dir
from tools.activations import TextActivations
from tools.subject import LoadedSubject, SaeSource, SubjectSpec, load_subject

ROOT = Path(__file__).parent.parent
FEATURES = [13, 31]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return make_cli(monkeypatch, capsys)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    make_model_dir(folder / "model")
    make_sae_dir(folder / "sae")
    make_sae_dir(folder / "wide", d_in=40)
    return folder


@pytest.fixture
def write(folder: Path, tmp_path: Path) -> Callable[..., Path]:
    def make(**changes: Any) -> Path:
        content: dict[str, Any] = {
            "subject": {"model": str(folder / "model"), "sae": {"path": str(folder / "sae")}},
            "corpus": {"source": "python-stdlib", "max_tokens": 5000},
            "features": FEATURES,
            "budget": {"rounds": 2, "experiments": 30},
            "database": str(tmp_path / "run.duckdb"),
        }
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump({**content, **changes}))
        return path

    return make


@pytest.fixture(scope="module")
def subject(folder: Path) -> LoadedSubject:
    source = SaeSource(release=None, id=None, path=str(folder / "sae"))
    return load_subject(SubjectSpec(model=str(folder / "model"), sae=source))


def records(cli: Cli, database: Path) -> list[dict[str, Any]]:
    result = cli("export", database)
    assert result.code == 0
    return [{**json.loads(line), "seconds": None} for line in result.out.splitlines()]


def test_explain_show_export(
    cli: Cli, write: Callable[..., Path], tmp_path: Path, subject: LoadedSubject
) -> None:
    database = tmp_path / "run.duckdb"
    explained = cli("explain", write(budget={"rounds": 5, "experiments": 80}))
    assert explained.code in (0, 1)
    found = records(cli, database)
    assert [record["feature"] for record in found] == FEATURES
    for record in found:
        check_export(record, subject)
    check_show(cli, database, found[0])
    assert "2 " in cli("runs", database).out
    # The same again goes on with the run, which is finished, and changes nothing.
    assert cli("explain", tmp_path / "run.yaml").code == explained.code
    assert cli("resume", database).code == explained.code
    assert records(cli, database) == found
    # Another run of the same configuration finds the same.
    cli("explain", tmp_path / "run.yaml", "--new")
    again = records(cli, database)
    assert len(again) == 2 * len(found)
    assert [{**r, "run": None} for r in again[2:]] == [{**r, "run": None} for r in found]


def check_export(record: dict[str, Any], subject: LoadedSubject) -> None:
    """Anyone can run the texts again and finds the same maxima."""
    assert set(record) == {
        *("feature", "status", "description", "labels", "not_on", "confidence", "rule"),
        *("hypotheses", "experiments", "counts", "seconds", "run", "config_hash"),
        "forked_from",
    }
    assert len(record["hypotheses"]) >= 4
    texts = [experiment["text"] for experiment in record["experiments"]]
    assert texts
    measured: list[TextActivations] = subject.activations(texts, [record["feature"]])
    for experiment, again in zip(record["experiments"], measured, strict=True):
        assert experiment["max_activation"] == pytest.approx(again.activations.max(), abs=1e-4)
    assert record["counts"]["experiments"] == len(texts)
    ids = [experiment["id"] for experiment in record["experiments"]]
    assert len(set(ids)) == len(ids)


def check_show(cli: Cli, database: Path, record: dict[str, Any]) -> None:
    feature = record["feature"]
    shown = cli("show", database, feature)
    assert shown.code == 0
    for hypothesis in record["hypotheses"]:
        assert hypothesis["id"] in shown.out
    full = json.loads(cli("show", database, feature, "--json").out)
    known = {experiment["observation"] for experiment in full["experiments"]}
    assert full["claims"]
    for claim in full["claims"]:
        assert set(claim["observations"]) <= known
    assert str(feature) in cli("show", database).out


def test_probe_prints_tokens_maximum_and_mean(cli: Cli, write: Callable[..., Path]) -> None:
    result = cli("probe", write(), "--feature", 13, "import os", "def f(x): return x")
    assert result.code == 0
    assert result.out.count("max ") == 2
    assert result.out.count("mean ") == 2
    assert "blocks.1.hook_resid_post" in result.out


def missing_model(folder: Path) -> dict[str, Any]:
    return {"subject": {"model": "/no/such/model", "sae": {"path": str(folder / "sae")}}}


def missing_sae(folder: Path) -> dict[str, Any]:
    return {"subject": {"model": str(folder / "model"), "sae": {"path": "/no/such/sae"}}}


def other_width(folder: Path) -> dict[str, Any]:
    return {"subject": {"model": str(folder / "model"), "sae": {"path": str(folder / "wide")}}}


def corpus(name: str, content: bytes) -> Callable[[Path], dict[str, Any]]:
    def make(folder: Path) -> dict[str, Any]:
        (folder / name).write_bytes(content)
        return {"corpus": {"source": str(folder / name)}}

    return make


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (missing_model, "/no/such/model"),
        (missing_sae, "/no/such/sae"),
        (other_width, "40"),
        (lambda _: {"features": [4800]}, "4800"),
        (lambda _: {"features": ["banana"]}, "banana"),
        (corpus("empty.txt", b""), "empty.txt"),
        (corpus("latin.txt", "caf\xe9\n\n\nna\xefve".encode("latin-1")), "UTF-8"),
        (lambda _: {"corpus": {"source": "/no/such/corpus.txt"}}, "/no/such/corpus.txt"),
        (lambda _: {"policies": {"default": "nobody"}}, "unknown policy 'nobody'"),
        (lambda _: {"databse": "x"}, "did you mean 'database'?"),
        (lambda _: {"database": "/proc/none/x.duckdb"}, "/proc/none"),
    ],
)
def test_bad_input_is_named_and_leaves_no_run(
    cli: Cli,
    write: Callable[..., Path],
    folder: Path,
    tmp_path: Path,
    change: Callable[[Path], dict[str, Any]],
    message: str,
) -> None:
    result = cli("explain", write(**change(folder)))
    assert result.code == 2
    assert result.err.count("error: ") == 1
    assert message in result.err
    if (tmp_path / "run.duckdb").exists():
        assert "no runs yet" in cli("runs", tmp_path / "run.duckdb").out


def test_a_subject_that_changed_is_not_mixed_with_the_old_one(
    cli: Cli, write: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    make_sae_dir(tmp_path / "sae")
    subject = {"model": str(folder / "model"), "sae": {"path": str(tmp_path / "sae")}}
    config = write(subject=subject, policies={"conclude": "tests.policies:Overclaiming"})
    assert cli("explain", config).code == 1
    shutil.rmtree(tmp_path / "sae")
    make_sae_dir(tmp_path / "sae", seed=5)
    result = cli("resume", tmp_path / "run.duckdb")
    assert result.code == 2
    assert "changed since run" in result.err


def test_nan_in_one_feature_fails_that_feature_alone(
    cli: Cli, write: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    make_sae_dir(tmp_path / "sae")
    damage(tmp_path / "sae" / "sae_weights.safetensors", "W_enc", 31, float("nan"))
    subject = {"model": str(folder / "model"), "sae": {"path": str(tmp_path / "sae")}}
    result = cli("explain", write(subject=subject))
    assert result.code == 1
    by_feature = {r["feature"]: r["status"] for r in records(cli, tmp_path / "run.duckdb")}
    assert by_feature[13] in ("explained", "undecided", "budget")
    assert by_feature[31] == "failed"
    assert "NaN or infinity at feature 31" in result.out.replace("\n", " ")
    # Where nothing else is known of the SAE, it may be the whole of it: nothing can be planned.
    alone = write(subject=subject, features=[31], database=str(tmp_path / "alone.duckdb"))
    result = cli("explain", alone)
    assert result.code == 1
    assert "NaN or infinity at feature 31" in result.err


def test_a_run_that_cannot_go_on_does_not_keep_the_next_from_it(
    cli: Cli, write: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    make_sae_dir(tmp_path / "sae")
    subject = {"model": str(folder / "model"), "sae": {"path": str(tmp_path / "sae")}}
    failing = {"policies": {"conclude": "tests.policies:Overclaiming"}}
    cli("explain", write(subject=subject, **failing))
    cli("explain", write(**failing))
    shutil.rmtree(tmp_path / "sae")
    result = cli("resume", tmp_path / "run.duckdb")
    assert result.code == 2
    assert result.err.count("error: ") == 1
    assert result.out.count("O99.1") == 2 * len(FEATURES)


def test_a_finished_run_needs_its_subject_no_more(
    cli: Cli, write: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    make_sae_dir(tmp_path / "sae")
    subject = {"model": str(folder / "model"), "sae": {"path": str(tmp_path / "sae")}}
    code = cli("explain", write(subject=subject)).code
    shutil.rmtree(tmp_path / "sae")
    assert cli("resume", tmp_path / "run.duckdb").code == code


def test_a_probe_may_be_longer_than_the_context(cli: Cli, write: Callable[..., Path]) -> None:
    result = cli("probe", write(), "--feature", 13, "import os\n" * 200)
    assert result.code == 0
    found = re.search(r"(\d+) tokens", result.out)
    assert found
    assert int(found[1]) >= 400


@pytest.mark.parametrize("command", ["resume", "runs", "show", "export"])
def test_a_missing_or_foreign_database_is_refused(cli: Cli, command: str, tmp_path: Path) -> None:
    assert cli(command, tmp_path / "none.duckdb").code == 2
    (tmp_path / "notes.txt").write_text("no database")
    assert cli(command, tmp_path / "notes.txt").code == 2
    duckdb.connect(str(tmp_path / "other.duckdb")).execute("CREATE TABLE mine (n INTEGER)").close()
    result = cli(command, tmp_path / "other.duckdb")
    assert result.code == 2
    assert "not saesage's" in result.err


def test_another_schema_version_is_refused(
    cli: Cli, write: Callable[..., Path], tmp_path: Path
) -> None:
    with duckdb.connect(str(tmp_path / "run.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE saesage_schema AS SELECT 99 AS version, now() AS created_at"
        )
    result = cli("explain", write())
    assert result.code == 2
    assert "99" in result.err


def test_a_database_in_use_names_its_holder(cli: Cli, write: Callable[..., Path]) -> None:
    config = write()
    database = yaml.safe_load(config.read_text())["database"]
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); "
        "sys.stdin.read(); c.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        result = cli("explain", config)
        assert result.code == 2
        assert str(holder.pid) in result.err
        holder.communicate("")


def test_usage_errors_exit_with_2(cli: Cli) -> None:
    assert cli("explain").code == 2
    assert cli("no-such-command").code == 2
    assert cli("show", "x.duckdb", "not-a-number").code == 2


def test_a_feature_or_run_that_is_not_there(
    cli: Cli, write: Callable[..., Path], tmp_path: Path
) -> None:
    cli("explain", write(features=[13], budget={"rounds": 1, "experiments": 8}))
    result = cli("show", tmp_path / "run.duckdb", 999)
    assert result.code == 2
    assert "999" in result.err
    assert cli("show", tmp_path / "run.duckdb", "--run", "nobody").code == 2
