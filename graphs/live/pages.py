"""The report's pages, with what only a served page has: a probe, forms, and news."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from graphs.config import ROLES
from graphs.live.workshop import Probe
from graphs.page.reading import read_feature, read_overview
from graphs.page.rendering import (
    Live,
    content_security_policy,
    document,
    feature_html,
    inlined,
    overview_html,
)
from graphs.page.shading import shaded_tokens
from graphs.policies.registry import REGISTERED
from graphs.projection import split_thread
from graphs.runs import RunStore
from tools.database import Database

_HERE = Path(__file__).parent

LIVE = Live(
    style=(_HERE / "assets" / "live.css").read_text(encoding="utf-8"),
    script=(_HERE / "assets" / "live.js").read_text(encoding="utf-8"),
    policy="connect-src 'self'; form-action 'none'; img-src data:",
)

POLICY = content_security_policy(*inlined(LIVE), f"{LIVE.policy}; frame-ancestors 'none'")
"""What a browser may do for these pages."""


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rendered(template: str, **values: object) -> Markup:
    return Markup(_environment().get_template(template).render(values))


def overview_page(reader: Database, *, mark: str, status: str) -> str:
    """The page of all features, whole.

    Args:
        reader: The database.
        mark: Where its changes were before it was read.
        status: What goes on, in words.
    """
    originals = [run for run in RunStore(reader).all() if run.forked_from is None]
    body = _rendered(
        "live.html",
        fragment=overview_fragment(reader),
        source="/fragment/overview",
        thread="",
        run=originals[-1].name if originals else "",
        feature=None,
        mark=mark,
        status=status,
    )
    return document("saesage", body, LIVE)


def feature_page(reader: Database, thread: str, *, mark: str, status: str) -> str:
    """The page of one thread, whole; arguments as of `overview_page`.

    Raises:
        RunNotFound: there is no such thread.
    """
    fragment = feature_fragment(reader, thread)
    run, feature = split_thread(thread)
    body = _rendered(
        "live.html",
        fragment=fragment,
        source=f"/fragment/feature/{thread}",
        thread=thread,
        run=run,
        feature=feature,
        mark=mark,
        status=status,
        roles=ROLES,
        policies=REGISTERED,
    )
    return document(f"feature {feature} · saesage", body, LIVE)


def overview_fragment(reader: Database) -> Markup:
    """The part of the overview that changes while features run."""
    if not RunStore(reader).all():
        return _rendered("nothing.html")
    with reader.transaction():
        overview = read_overview(reader)
    return Markup(overview_html(overview))


def feature_fragment(reader: Database, thread: str) -> Markup:
    """The part of a feature's page that changes while it runs.

    Raises:
        RunNotFound: there is no such thread.
    """
    with reader.transaction():
        page = read_feature(reader, thread)
    return Markup(feature_html(page))


def error_page(message: str) -> str:
    """What went wrong, and the way back."""
    return document("saesage", _rendered("error.html", message=message), LIVE)


def probe_html(probe: Probe, scale: float | None) -> Markup:
    """What was measured: tokens shaded by their share of the scale, the maximum, the mean.

    Args:
        probe: What was measured.
        scale: The feature's; None if it has none: then the strongest token is shaded fully.
    """
    tokens = shaded_tokens(probe.tokens, probe.activations, scale or probe.maximum)
    return _rendered("probe.html", probe=probe, scale=scale, tokens=tokens)
