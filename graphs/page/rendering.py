"""Records rendered as HTML: fragments, and whole pages that need no other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from graphs.page import plots
from graphs.page.overview import Overview, ThreadSummary
from graphs.page.records import ExemplarGroup, FeaturePage, Message
from graphs.page.scores import AGENTIC, HEADLINES, score_tables
from graphs.page.shading import sentence, shaded_tokens, unquoted, visible

_HERE = Path(__file__).parent
STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
SCRIPT = (_HERE / "page.js").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Live:
    """What a page has in addition when it is served by a process that can answer."""

    style: str
    """CSS, put after the page's."""
    script: str
    """JavaScript, put after the page's."""
    policy: str
    """Further directives of the page's content security policy."""


def overview_html(overview: Overview) -> str:
    """The overview as a `<section id="overview">`."""
    return _render("overview.html", overview=overview)


def feature_html(page: FeaturePage, *, with_prompts: bool = True) -> str:
    """One thread as an `<article>` whose id is its anchor.

    Args:
        page: what to show.
        with_prompts: whether it holds the system prompts that its calls link to; else
            `prompts_html` must stand beside it.
    """
    return _render("feature.html", page=page, with_prompts=with_prompts)


def explanation_html(page: FeaturePage) -> str:
    """What is said of a feature, and what that rests on."""
    return _render("explanation.html", page=page)


def tree_html(page: FeaturePage, *, opened: bool = False) -> str:
    """The hypotheses, each above those that refine it, with their tests folded or open."""
    return _render("hypotheses.html", page=page, opened=opened)


def passages_html(groups: Sequence[ExemplarGroup], scale: float) -> str:
    """Groups of passages, shaded in units of `scale`; all but the first are folded."""
    return _render("groups.html", groups=groups, scale=scale)


def results_html(rows: Sequence[ThreadSummary]) -> str:
    """A table with a line for each feature."""
    return _render("results.html", rows=rows)


def prompts_html(prompts: Mapping[str, Message]) -> str:
    """System prompts by digest, for features that go without; empty if there are none."""
    return _render("prompts.html", prompts=prompts)


def document(title: str, body: str, live: Live | None = None) -> str:
    """A whole page with style and script within it.

    Args:
        title: of the window.
        body: HTML, such as the fragments that the functions above give.
        live: None for a file.
    """
    style, script = inlined(live)
    return _render(
        "document.html",
        title=title,
        body=Markup(body),
        style=Markup(style),
        script=Markup(script),
        policy=content_security_policy(style, script, live.policy if live else ""),
    )


def inlined(live: Live | None = None) -> tuple[str, str]:
    """The style and the script of a page."""
    return (STYLE, SCRIPT) if live is None else (STYLE + live.style, SCRIPT + live.script)


def content_security_policy(style: str, script: str, further: str = "") -> str:
    """What a browser may do for a page: run this style and script, and nothing from elsewhere.

    Text from a corpus that slipped through as markup could then still do nothing.
    """
    kinds = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    return f"{kinds}; base-uri 'none'; {further}".removesuffix("; ")


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= _FILTERS
    environment.tests |= _TESTS
    shared: dict[str, Any] = dict(environment.globals)
    environment.globals = {**shared, **_GLOBALS}
    return environment


def _percent(share: float) -> str:
    """Two digits that say something, however small the share."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def _two(value: float) -> str:
    return f"{value:.2f}"


def _short(value: float) -> str:
    return f"{value:.3g}"


def _thousands(value: int) -> str:
    return f"{value:,}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _firing(activations: Sequence[float]) -> bool:
    return any(value > 0 for value in activations)


_FILTERS: dict[str, Callable[..., Any]] = {
    "shaded": shaded_tokens,
    "visible": visible,
    "content": unquoted,
    "sentence": sentence,
    "percent": _percent,
    "signed": _signed,
    "two": _two,
    "short": _short,
    "thousands": _thousands,
    "words": _words,
}
_TESTS: dict[str, Callable[..., bool]] = {"firing": _firing}
_GLOBALS: dict[str, Any] = {
    "plots": plots,
    "score_tables": score_tables,
    "AGENTIC": AGENTIC,
    "HEADLINES": HEADLINES,
}
