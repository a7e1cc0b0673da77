"""A configuration from its YAML file: overrides applied, paths made absolute."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from graphs.config import RunConfig, parse_config
from graphs.runs import Run
from tools.errors import ConfigError

_EXAMPLES = {"llm": "llm.model=gpt-5", "policies": "policies.design_experiments=symbolic"}
"""What may be changed, by section."""


def load_config(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    features: str | None = None,
    database: str | None = None,
) -> RunConfig:
    """Read a YAML file, apply overrides, resolve its paths.

    Args:
        path: the YAML file.
        overrides: such as `corpus.max_tokens=50000`; values are read as YAML.
        features: comma-separated, in place of the file's.
        database: in place of the file's.

    Raises:
        ConfigError: the file is missing, no UTF-8, no YAML, or holds unknown or wrong values.
    """
    content = _read_yaml(path)
    for override in overrides:
        _apply(content, override)
    if features is not None:
        content["features"] = features.split(",")
    if database is not None:
        content["database"] = database
    return resolve_paths(parse_config(content), path.resolve().parent)


def with_language_model(run: Run, overrides: Sequence[str]) -> Run:
    """A stored run with other settings of its language model.

    Args:
        run: as stored.
        overrides: such as `llm.model=gpt-5`.

    Raises:
        ConfigError: another section is named, or a value is wrong.
    """
    why = "the rest is what its explanations were made with."
    return replace(run, config=with_settings(run.config, overrides, ("llm",), why))


def with_settings(
    config: RunConfig, overrides: Sequence[str], sections: Sequence[str], why: str
) -> RunConfig:
    """A stored configuration with changes in some of its sections.

    Args:
        config: as stored.
        overrides: such as `budget.rounds=20`.
        sections: those that may change.
        why: said of the others.

    Raises:
        ConfigError: another section is named, or a value is wrong.
    """
    content = config.model_dump(mode="json", exclude_none=True)
    for override in overrides:
        if re.split(r"[.=]", override)[0] not in sections:
            raise ConfigError(
                f"--set {override}: only keys of {', '.join(sections)} can be changed for a "
                f"stored run, such as {_EXAMPLES[sections[0]]}; {why}"
            )
        _apply(content, override)
    return parse_config(content)


def resolve_paths(config: RunConfig, folder: Path) -> RunConfig:
    """Make local paths absolute, so that a run can be resumed from anywhere.

    A relative path is looked for in the working directory, then in `folder` (the config file's).
    What is found in neither stays as it is: it may be a hub id.
    """
    subject, sae, source = config.subject, config.subject.sae, config.corpus.source
    if sae is not None and sae.path is not None:
        sae = sae.model_copy(update={"path": _absolute(sae.path, folder)})
    model = subject.model and _absolute(subject.model, folder)
    subject = subject.model_copy(update={"model": model, "sae": sae})
    if isinstance(source, str) and source != "python-stdlib":
        source = _absolute(source, folder)
    corpus = config.corpus.model_copy(update={"source": source})
    return config.model_copy(update={"subject": subject, "corpus": corpus})


def _absolute(path: str, folder: Path) -> str:
    relative = Path(path).expanduser()
    for base in (Path.cwd(), folder):
        if any(base.glob(path)) if _is_pattern(path) else (base / relative).exists():
            return str((base / relative).absolute())
    return path


def _is_pattern(path: str) -> bool:
    return any(mark in path for mark in "*?[") and not Path(path).is_absolute()


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no config file {path}; check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} must hold a mapping with the keys {', '.join(RunConfig.model_fields)}."
        )
    return cast("dict[str, Any]", content)


def _apply(content: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            f"--set takes key=value, such as corpus.max_tokens=50000; got {override!r}."
        )
    *parents, last = key.split(".")
    target = content
    for parent in parents:
        child: object = target.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {parent} is no section of the configuration.")
        target = cast("dict[str, Any]", child)
    try:
        target[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML: {error}") from error
