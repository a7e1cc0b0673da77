"""The live page in a real browser: every view, probes, the token, news, and steering."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from graphs.live.page_server import LivePage
from graphs.projection import thread_of
from graphs.run import finish_run
from graphs.runs import Run, RunStore
from graphs.storage import open_database
from tests.chromium import PHONE, browser, opened
from tests.live_pages import DIGITS, RETURN, Pausing, finished_run, live_config, served
from tools.database import Database

__all__ = ["browser"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    config = live_config(tmp_path_factory.mktemp("live"), [RETURN, DIGITS])
    with open_database(config.database, create=True) as database:
        finished_run(database, config)
        yield database


@pytest.fixture(scope="module")
def page(database: Database) -> Iterator[LivePage]:
    with served(database) as page:
        yield page


@pytest.fixture(scope="module")
def run(database: Database) -> Run:
    return RunStore(database).latest()


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
