"""The live page in a real browser: every view, probes, the token, news, and steering."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from graphs.findings import Findings, export_lines
from graphs.live.page_server import LivePage
from graphs.projection import thread_of
from graphs.run import finish_run
from graphs.runs import Run, RunStore
from graphs.steering.history import history
from graphs.storage import open_database
from tests.chromium import PHONE, browser, opened
from tests.fakes import FakeSubject
from tests.live_pages import (
    NONE_AFTER_IS,
    RETURN,
    Pausing,
    database,
    finished_run,
    live_config,
    page,
    run,
    served,
)
from tools.database import Database
from tools.rules import rule_from_json

__all__ = ["browser", "database", "page", "run"]


def address(page: LivePage, path: str = "/") -> str:
    return page.url.replace("/#", f"{path}#")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_renders_without_errors_and_fits_a_phone(
    browser: Browser, page: LivePage, run: Run, scheme: str
) -> None:
    for path in ("/", f"/feature/{thread_of(run.name, RETURN)}"):
        with opened(browser, address(page, path), size=PHONE, scheme=scheme) as tab:  # type: ignore[arg-type]
            expect(tab.get_by_text("live", exact=True)).to_be_visible()
            assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_a_feature_is_found_and_its_evidence_is_linked(
    browser: Browser, page: LivePage, run: Run
) -> None:
    with opened(browser, address(page)) as tab:
        expect(tab.locator("table.features tbody tr:visible")).to_have_count(2)
        tab.locator("#filter").fill("return")
        expect(tab.locator("table.features tbody tr:visible")).to_have_count(1)
        # What was filtered stays so when the page is renewed.
        page.changes.tell("test", "news")
        page.changes.look()
        expect(tab.locator("[data-news]")).to_have_text("news")
        page.changes.tell("test", "")
        expect(tab.locator("table.features tbody tr:visible")).to_have_count(1)
        tab.locator("table.features tbody tr:visible a").first.click()
        expect(tab).to_have_url(
            f"http://127.0.0.1:{page.port}/feature/{thread_of(run.name, RETURN)}#f0"
        )
        tab.locator(".cited a").first.click()
        expect(tab.locator("li:target")).to_be_visible()
        tab.get_by_role("link", name="↑ all features").click()
        expect(tab).to_have_url(f"http://127.0.0.1:{page.port}/")


def test_a_probe_is_answered_and_markup_in_it_does_nothing(
    browser: Browser, page: LivePage, run: Run
) -> None:
    with opened(browser, address(page, f"/feature/{thread_of(run.name, RETURN)}")) as tab:
        assert "token" not in tab.url
        tab.locator("#probe-text").fill(
            "return <script>alert(1)</script><img src=x onerror=alert(1)>"
        )
        tab.get_by_role("button", name="Measure").click()
        answer = tab.locator("[data-answer=probe]")
        expect(answer.locator("b[class^=s]").first).to_have_text("return")
        expect(answer).to_contain_text("<script>")
        assert answer.locator("script, img").count() == 0
        # With the keyboard alone.
        tab.locator("#probe-text").fill("the cat")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        expect(answer).to_contain_text("maximum 0")


def test_who_opens_the_page_without_its_token_is_asked_for_it(
    browser: Browser, page: LivePage
) -> None:
    with opened(browser, f"http://127.0.0.1:{page.port}/") as tab:
        tab.locator("#probe-feature").fill(str(RETURN))
        tab.locator("#probe-text").fill("return")
        tab.get_by_role("button", name="Measure").click()
        expect(tab.get_by_role("alert")).to_contain_text("token")
        expect(tab.get_by_label("Token")).to_be_focused()
        tab.get_by_label("Token").fill(page.token)
        tab.keyboard.press("Enter")
        expect(tab.locator("[data-answer=probe]")).to_contain_text("token at")
        expect(tab.get_by_label("Token")).to_be_hidden()


def test_a_running_explanation_appears_without_reload(browser: Browser, tmp_path: Path) -> None:
    config = live_config(tmp_path, [RETURN])
    with (
        open_database(config.database, create=True) as database,
        served(database) as page,
        opened(browser, address(page)) as tab,
    ):
        expect(tab.get_by_text("No run yet")).to_be_visible()
        tab.evaluate("window.untouched = true")
        run, pausing = RunStore(database).open(config), Pausing("refine_hypotheses")
        instruments = page.workshop.instruments
        going = threading.Thread(
            target=finish_run,
            args=(database, run, page.hearing(pausing)),
            kwargs={"instruments": instruments},
        )
        going.start()
        row = tab.locator("table.features tbody tr")
        expect(row.locator(".state")).to_contain_text("running", timeout=20_000)
        pausing.before = ""
        pausing.go_on.set()
        expect(row.locator(".state")).to_contain_text("explained", timeout=20_000)
        expect(row).to_contain_text("return")
        assert tab.evaluate("window.untouched")
        going.join()


def fork(tab: Page, **fields: str | list[str]) -> None:
    """Fill in the form for stepping in, and send it."""
    tab.locator("[data-steer] summary").click()
    form = tab.locator("[data-form=steer]")
    for name, value in fields.items():
        field = form.locator(f"[name={name}]")
        if name in ("at", "drop", "tested"):
            field.select_option(value)
        elif name == "predicted":
            form.get_by_label(f"predicted {value}").check()
        else:
            assert isinstance(value, str)
            field.fill(value)
    form.get_by_role("button", name="Fork and go on").click()


def fires_on(database: Database, name: str, text: str) -> float:
    """What the rule of a fork of `NONE_AFTER_IS` predicts, at most, on a text."""
    (run,) = [fork for fork in RunStore(database).all() if fork.name.endswith(f"~{name}")]
    rule = rule_from_json(json.loads(Findings(database).feature(run, NONE_AFTER_IS)["rule"]))
    subject = FakeSubject()
    return float(rule.predict(subject.surfaces(subject.tokenize(text))).max())


def test_a_wrong_explanation_is_corrected_by_one_experiment(
    browser: Browser, tmp_path: Path
) -> None:
    config = live_config(tmp_path, [NONE_AFTER_IS])
    with (
        open_database(config.database, create=True) as database,
        served(database) as page,
    ):
        run = finished_run(database, config)
        original = list(export_lines(Findings(database), run))
        thread = thread_of(run.name, NONE_AFTER_IS)
        begun = next(e for e in history(database, thread) if e.node == "generate_hypotheses")
        rivals = [
            h["id"] for h in Findings(database).hypotheses(run, NONE_AFTER_IS) if not h["round"]
        ]
        with opened(browser, address(page, f"/feature/{thread}")) as tab:
            title, status = tab.locator("article h2").first, tab.locator("article .badge").first
            # Half of the truth, and tests that could not tell.
            fork(
                tab,
                at=begun.checkpoint,
                statement="Fires on ' None'.",
                drop=rivals,
                setting="policies.design_experiments=tests.policies:Credulous",
                name="wrong",
            )
            expect(tab).to_have_url(re.compile("~wrong/"))
            expect(status).to_have_text("explained", timeout=30_000)
            said = "Fires on the token ' None'; nearly all of its activation is left open."
            expect(title).to_have_text(said)
            # One text that it is wrong about, and a designer who follows it up.
            fork(
                tab,
                tested=f"H{len(rivals) + 1}",
                text="return None",
                predicted="active",
                setting="policies.design_experiments=symbolic",
                name="right",
            )
            expect(tab).to_have_url(re.compile("~right/"))
            expect(status).to_have_text("explained", timeout=30_000)
            expect(title).not_to_have_text("Fires on the token ' None'.")
            assert fires_on(database, "right", " value is None") >= 0.5
            assert (
                fires_on(database, "right", "return None")
                < 0.5
                < fires_on(database, "wrong", "return None")
            )
            expect(tab.locator("table.siblings tbody tr")).to_have_count(3)
            tab.get_by_role("link", name="All features", exact=True).click()
            expect(tab.locator("table.features tbody tr")).to_have_count(3)
        assert list(export_lines(Findings(database), run)) == original


def test_a_feature_that_waits_is_answered_from_the_page(browser: Browser, tmp_path: Path) -> None:
    config = live_config(tmp_path, [NONE_AFTER_IS]).model_copy(
        update={"review": ("after-hypotheses",)}
    )
    with (
        open_database(config.database, create=True) as database,
        served(database) as page,
    ):
        run = finished_run(database, config)
        url = address(page, f"/feature/{thread_of(run.name, NONE_AFTER_IS)}")
        with opened(browser, url, refused=422) as tab:
            waits = tab.get_by_text("This feature waits for your review")
            expect(waits).to_be_visible()
            waits.click()
            form = tab.locator("[data-form=steer]")
            expect(form.get_by_role("button", name="Fork and go on")).to_be_hidden()
            form.get_by_label("What it says").fill("no rule at all")
            form.get_by_role("button", name="Approve").click()
            expect(tab.get_by_role("alert")).to_contain_text("no rule")
            form.get_by_label("What it says").fill("Fires on ' tree'.")
            form.get_by_role("button", name="Approve").click()
            expect(tab.locator("article .badge").first).to_have_text("explained", timeout=30_000)
            expect(tab.locator("article")).to_contain_text("tree")
            expect(waits).to_be_hidden()
