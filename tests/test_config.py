"""The configuration: read whole, or refused with the reason and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from graphs.config import parse_config
from graphs.config_file import load_config
from tools.errors import ConfigError
from tools.llm.settings import Price

PRICE = {"input": 1.0, "output": 2.0}
GOOD = {
    "subject": {"model": "some/model", "sae": {"release": "a-release", "id": "an-id"}},
    "corpus": {"source": "python-stdlib"},
    "features": [3, "100-119", "random:2"],
}


def write(folder: Path, content: object) -> Path:
    path = folder / "run.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_defaults_are_those_documented(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.corpus.max_tokens == 300_000
    assert config.budget.rounds == 14
    assert config.budget.experiments == 200
    assert config.budget.minutes is None
    assert config.policy_of("conclude") == "symbolic"
    assert config.seed == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bugdet": {}}, "unknown key bugdet; did you mean 'budget'?"),
        ({"budget": {"round": 3}}, "unknown key budget.round; did you mean 'rounds'?"),
        ({"corpus": {"source": "x", "max_token": 3}}, "did you mean 'max_tokens'?"),
        ({"subject": {"model": "m", "sae": {"pth": "x"}}}, "did you mean 'path'?"),
        ({"policies": {"analyse_evidence": "symbolic"}}, "did you mean 'analyze_evidence'?"),
        ({"subject": {"model": "m", "sae": {"path": "x", "id": "y"}}}, "either path, or release"),
        ({"subject": {"model": "m", "sae": {"id": "y"}}}, "release and id go together"),
        ({"features": []}, "features"),
        ({"budget": {"rounds": 0}}, "budget.rounds"),
        ({"thresholds": {"active": 0.1, "inactive": 0.5}}, "inactive < active"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"features": ["banana"]}, "'banana' is no id, range"),
        ({"features": [True]}, "'True' is no id, range"),
        ({"llm": {"modle": "m"}}, "unknown key llm.modle; did you mean 'model'?"),
        ({"llm": {"model": "m", "timeout": 3}}, "did you mean 'timeout_s'?"),
        ({"llm": {"model": ""}}, "llm.model"),
        ({"llm": {"model": "m", "api_key_env": "sk-1234"}}, "api_key_env: name an environment"),
        ({"llm": {"model": "m", "concurrency": 0}}, "llm.concurrency"),
        ({"llm": {"model": "m", "roles": {"analyser": {}}}}, "did you mean 'analyzer'?"),
        ({"llm": {"model": "m", "roles": {"reviewer": {"modl": "x"}}}}, "did you mean 'model'?"),
        ({"llm": {"model": "m", "prices": {"n": PRICE}}}, "no price for m; add it"),
        (
            {
                "llm": {
                    "model": "m",
                    "prices": {"m": PRICE},
                    "roles": {"reviewer": {"model": "strong"}},
                }
            },
            "no price for strong",
        ),
        ({"llm": {"model": "m", "prices": {"m": {"inputs": 1}}}}, "did you mean 'input'?"),
        ({"llm": {"model": "m"}, "budget": {"usd": 1}}, "a limit in usd needs llm.prices"),
        ({"budget": {"run": {"usd": 1}}}, "a limit in usd needs llm.prices"),
        ({"budget": {"run": {"call": 1}}}, "did you mean 'llm_calls'?"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, {**GOOD, **change}))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["a: [1", "- just\n- a list", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load_config(write(tmp_path, text))


def test_a_missing_file_and_bad_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no config file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "bad.yaml")


def test_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    config = load_config(path, ["budget.rounds=3", "policies.conclude=a.b:C", "features=[1, 2]"])
    assert config.budget.rounds == 3
    assert config.policy_of("conclude") == "a.b:C"
    assert config.features == (1, 2)
    for wrong in ("budget.rounds", "=3", "seed.x=1"):
        with pytest.raises(ConfigError):
            load_config(path, [wrong])


def test_the_hash_is_of_what_determines_the_result() -> None:
    config = parse_config(GOOD)
    assert config.config_hash == parse_config({**GOOD, "database": "other.duckdb"}).config_hash
    assert config.config_hash != parse_config({**GOOD, "seed": 1}).config_hash


def test_paths_are_found_beside_the_file_or_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder in (beside / "model", here / "texts"):
        folder.mkdir(parents=True)
    (here / "texts" / "a.txt").write_text("text")
    monkeypatch.chdir(here)
    content = {**GOOD, "corpus": {"source": "texts/*.txt"}}
    content["subject"] = {"model": "model", "sae": {"path": "missing"}}
    config = load_config(write(beside, content))
    assert config.subject.model == str(beside / "model")
    assert config.corpus.source == str(here / "texts" / "*.txt")
    assert config.subject.sae.path == "missing"


def test_how_a_model_is_reached_does_not_make_another_run() -> None:
    llm = {"model": "m", "base_url": "http://localhost:1/v1", "concurrency": 4}
    config = parse_config({**GOOD, "llm": llm})
    moved = parse_config({**GOOD, "llm": {**llm, "base_url": "http://host/v1", "concurrency": 64}})
    other = parse_config({**GOOD, "llm": {**llm, "model": "n"}})
    role = {"roles": {"reviewer": {"model": "n"}}}
    far = {"roles": {"reviewer": {"model": "n", "base_url": "http://far/v1"}}}
    near, away = (parse_config({**GOOD, "llm": {**llm, **roles}}) for roles in (role, far))
    assert near.config_hash == away.config_hash != config.config_hash
    assert config.config_hash == moved.config_hash
    assert config.config_hash != other.config_hash


def test_a_role_has_its_own_model() -> None:
    roles = {"explainer": {"model": "strong", "extra_body": {"seed": 1}}}
    llm = parse_config({**GOOD, "llm": {"model": "cheap", "timeout_s": 5, "roles": roles}}).llm
    assert llm is not None
    assert llm.for_role("explainer").model == "strong"
    assert llm.for_role("explainer").timeout_s == 5
    assert llm.for_role("explainer").extra_body == {"seed": 1}
    assert llm.for_role("reviewer").model == "cheap"


def test_a_call_costs_what_the_table_says() -> None:
    price = Price(input=1.0, output=10.0, cached=0.1)
    cost = price.cost(tokens_in=3_000_000, tokens_out=1_000_000, tokens_cached=1_000_000)
    assert cost == pytest.approx(2 * 1.0 + 0.1 + 10.0)
    same = Price(input=1.0, output=10.0)
    assert same.cost(tokens_in=3_000_000, tokens_out=0, tokens_cached=1_000_000) == 3.0


def test_a_key_in_the_place_of_its_name_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({**GOOD, "llm": {"model": "m", "api_key_env": "sk-verysecret"}})
    assert "verysecret" not in str(caught.value)
