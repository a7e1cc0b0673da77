"""The report's pages, with what only a served page has: a probe, forms, and news."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from graphs.findings import Findings
from graphs.live.workshop import Probe
from graphs.projection import split_thread
from graphs.runs import RunStore
from tools.database import Database
from tools.errors import RunNotFound

ASSETS = Path(__file__).parent / "assets"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("graphs.live"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rendered(template: str, **values: object) -> Markup:
    return Markup(_environment().get_template(template).render(values))


@cache
def _asset(name: str) -> Markup:
    return Markup((ASSETS / name).read_text(encoding="utf-8"))


def document(title: str, body: Markup, nonce: str) -> str:
    """A whole page, with its style and script inlined."""
    style, script = _asset("live.css"), _asset("live.js")
    return _rendered(
        "document.html", title=title, body=body, nonce=nonce, style=style, script=script
    )


def overview_page(reader: Database, *, mark: str, status: str) -> Markup:
    """What is on the page of all features.

    Args:
        reader: The database.
        mark: Where its changes were before it was read.
        status: What goes on, in words.
    """
    run = RunStore(reader).all()
    return _rendered(
        "live.html",
        fragment=overview_fragment(reader),
        source="/fragment/overview",
        thread="",
        run=run[-1].name if run else "",
        feature=None,
        mark=mark,
        status=status,
    )


def feature_page(reader: Database, thread: str, *, mark: str, status: str) -> Markup:
    """What is on the page of one feature; arguments as of `overview_page`.

    Raises:
        RunNotFound: there is no such thread.
    """
    fragment = feature_fragment(reader, thread)
    run, feature = split_thread(thread)
    return _rendered(
        "live.html",
        fragment=fragment,
        source=f"/fragment/feature/{thread}",
        thread=thread,
        run=run,
        feature=feature,
        mark=mark,
        status=status,
    )


def overview_fragment(reader: Database) -> Markup:
    """The part of the overview that changes while features run."""
    findings = Findings(reader)
    rows = [
        {**row, "thread": f"{run.name}/{row['feature']}"}
        for run in RunStore(reader).all()
        for row in findings.features(run)
    ]
    return _rendered("overview.html", rows=rows)


def feature_fragment(reader: Database, thread: str) -> Markup:
    """The part of a feature's page that changes while it runs.

    Raises:
        RunNotFound: there is no such thread.
    """
    if not thread.rpartition("/")[2].isdecimal():
        raise RunNotFound(f"there is no thread {thread!r}; open the page of all features.")
    run_name, feature = split_thread(thread)
    run, findings = RunStore(reader).named(run_name), Findings(reader)
    row, hypotheses = findings.feature(run, feature), findings.hypotheses(run, feature)
    return _rendered("feature.html", row=row, hypotheses=hypotheses)


def error_page(message: str) -> Markup:
    """What went wrong, and the way back."""
    return _rendered("error.html", message=message)


def probe_html(probe: Probe, scale: float | None) -> Markup:
    """What was measured: tokens shaded by their share of the scale, the maximum, the mean.

    Args:
        probe: What was measured.
        scale: The feature's; None if it has none.
    """
    whole = scale or probe.maximum or 1.0
    shares = [min(max(value / whole, 0.0), 1.0) for value in probe.activations]
    tokens = zip(probe.tokens, probe.activations, shares, strict=True)
    return _rendered("probe.html", probe=probe, scale=scale, tokens=list(tokens))
