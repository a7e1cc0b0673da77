"""Prompts are Markdown files with placeholders: read and checked before anything is asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.errors import ConfigError
from tools.llm.language_model import Prompt

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PARTS = re.compile(r"\s*# System *\n(?P<system>.*?\S.*?)\n# User *\n(?P<user>.*\S.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Placeholders:
    """What a prompt file may have filled in."""

    required: Sequence[str]
    """Without these the model would not see what it is asked about."""
    optional: Sequence[str] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.required, *self.optional)


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A prompt before its placeholders are filled in."""

    system: str
    user: str
    hash: str
    """Of the file's text: the prompt's version."""

    def fill(self, values: Mapping[str, str]) -> Prompt:
        """Put values in the place of placeholders; the values are not searched for more of them."""

        def value(match: re.Match[str]) -> str:
            return values[match[1].strip()]

        return Prompt(
            system=_PLACEHOLDER.sub(value, self.system),
            user=_PLACEHOLDER.sub(value, self.user),
            hash=self.hash,
        )


def read_prompt_files(folder: Path, roles: Mapping[str, Placeholders]) -> dict[str, PromptFile]:
    """The prompt of every role, by role.

    Args:
        folder: has a file `<role>.md` for each.
        roles: what each role's file may have filled in.

    Raises:
        ConfigError: a file is missing, lacks a part or a required placeholder, or has one that
            its role does not know.
    """
    return {role: _read(folder / f"{role}.md", known) for role, known in roles.items()}


def _read(path: Path, placeholders: Placeholders) -> PromptFile:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompt file {path} cannot be read: {error}.") from error
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise ConfigError(
            f"prompt file {path} must consist of a part under the heading '# System' and then one "
            "under the heading '# User', neither empty."
        )
    _check(path, text, placeholders)
    return PromptFile(
        system=parts["system"].strip(),
        user=parts["user"].strip(),
        hash=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def _check(path: Path, text: str, placeholders: Placeholders) -> None:
    found = [name.strip() for name in _PLACEHOLDER.findall(text)]
    known = ", ".join(f"{{{{{name}}}}}" for name in placeholders.known)
    for name in found:
        if name not in placeholders.known:
            raise ConfigError(
                f"prompt file {path} has the unknown placeholder {{{{{name}}}}}; known: {known}."
            )
    for name in placeholders.required:
        if name not in found:
            raise ConfigError(
                f"prompt file {path} lacks the placeholder {{{{{name}}}}}, without which the model "
                f"is not shown what it is asked about; known: {known}."
            )
