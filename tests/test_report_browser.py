"""The report in a real browser: readable at every width, sortable, and deaf to what texts say."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.chromium import DESKTOP, PHONE, browser, opened
from tests.evaluations import EXPLAINED, MEANINGS, NAMED, evaluated, run_saesage
from tests.fakes import DEFAULT_WORDS, FakeSubject, fake_corpus, on_tokens

__all__ = ["browser"]

CONTEXT = NAMED["None after is"]
HOSTILE = (
    "<script>window.harmed=1</script>",
    "<img/src=x/onerror=window.harmed=1>",
    "</script><svg/onload=window.harmed=1>",
    "\"onmouseover='window.harmed=1'",
    "--></style><b/id=overview>",
)


class Hostile(FakeSubject):
    """Fires on markup."""

    def __init__(self) -> None:
        super().__init__(
            [on_tokens("markup", *HOSTILE)], (*DEFAULT_WORDS, *HOSTILE), window_size=64
        )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    database = evaluated(tmp_path_factory)
    assert run_saesage("report", database, "-o", out).code == 0
    return out.as_uri()


@pytest.fixture
def page(browser: Browser, report: str) -> Iterator[Page]:
    with opened(browser, report) as page:
        yield page


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_and_can_be_read(
    browser: Browser, report: str, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    with opened(browser, report, size=size, scheme=scheme) as page:
        assert page.locator("article").count() == len(MEANINGS)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        levels = [f"b.s{level}" for level in range(1, 10)]
        shaded = [level for level in levels if page.locator(level).count()]
        assert len(shaded) >= 6
        for text in ("article h2", ".note", ".quiet", *shaded):
            assert contrast(page, text) >= 4.5, text


def contrast(page: Page, selector: str) -> float:
    """The contrast of the first such text with what is behind it, as WCAG computes it."""
    ink, *layers = page.locator(selector).first.evaluate(
        """element => {
          const found = [getComputedStyle(element).color];
          for (let each = element; each; each = each.parentElement)
            found.push(getComputedStyle(each).backgroundColor);
          return found;
        }"""
    )
    behind = (255.0, 255.0, 255.0)
    for layer in reversed(layers):
        *colour, alpha = channels(layer)
        behind = tuple(
            alpha * mine + (1 - alpha) * below for mine, below in zip(colour, behind, strict=True)
        )
    light, dark = sorted((luminance(channels(ink)[:3]), luminance(behind)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def channels(colour: str) -> tuple[float, ...]:
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour)]
    return (*numbers, 1.0)[:4]


def luminance(colour: tuple[float, ...]) -> float:
    shares = [value / 255 for value in colour]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def shown_rows(page: Page) -> list[str]:
    return page.locator("table.features tbody tr:visible th a").all_inner_texts()


def test_the_filter_and_the_status_narrow_the_table(page: Page) -> None:
    page.fill("#filter", "FIRES budget")
    rows = page.locator("table.features tbody tr:visible")
    assert 0 < rows.count() < len(MEANINGS)
    for row in rows.all():
        assert "Fires" in row.inner_text()
        assert row.get_attribute("data-status") == "budget"
    page.fill("#filter", "")
    page.select_option("#status", "dead")
    assert shown_rows(page) == [str(NAMED["nothing"])]
    expect(page.locator("#count")).to_have_text("1 shown")


def test_a_column_sorts_both_ways_and_gaps_come_last(page: Page) -> None:
    def confidences() -> list[str]:
        return page.locator("table.features td[data-l=confidence]").all_inner_texts()

    head = page.get_by_role("columnheader", name="confidence")
    for direction, descending in (("descending", True), ("ascending", False)):
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", direction)
        told = [float(text) for text in confidences() if text.strip()]
        assert told == sorted(told, reverse=descending)
        assert len(told) == len(EXPLAINED)
        assert confidences()[-1].strip() == ""


def test_a_claim_leads_to_the_observation_that_it_rests_on(page: Page) -> None:
    article = page.locator(f"#f{CONTEXT}")
    link = article.locator(".cited a").first
    observation = page.locator(f'[id="f{CONTEXT}-{link.text_content()}"]')
    expect(observation).to_be_hidden()
    link.click()
    expect(observation).to_be_visible()
    expect(observation).to_be_in_viewport()


def test_the_value_of_a_token_is_told_on_hover_and_by_keyboard(page: Page) -> None:
    text = page.locator(f"#f{CONTEXT} .passages p[tabindex]").first
    token, tip = text.locator("b").first, page.locator("#tip")
    value = token.get_attribute("title")
    text.scroll_into_view_if_needed()
    token.hover()
    expect(tip).to_be_visible()
    assert f"{value} (" in tip.inner_text()
    page.mouse.move(0, 0)
    expect(tip).to_be_hidden()
    text.focus()
    page.keyboard.press("ArrowRight")
    expect(tip).to_be_visible()
    assert f"{value} (" in tip.inner_text()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_without_scripts_all_of_it_is_there(browser: Browser, report: str) -> None:
    with opened(browser, report, java_script_enabled=False) as page:
        assert page.locator("article").count() == len(MEANINGS)
        assert page.locator("table.features tbody tr").count() == len(MEANINGS)


def test_on_paper_everything_is_open_and_the_controls_are_gone(page: Page) -> None:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".filters")).to_be_hidden()
    expect(page.locator(f"#f{CONTEXT} .tests li").first).to_be_visible()


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    texts = fake_corpus(n_documents=40)
    for number, text in enumerate(texts):
        texts[number] = text.replace(" return", f" {HOSTILE[number % len(HOSTILE)]}")
    (folder / "corpus.txt").write_text("\n\n\n".join(texts))
    config = {
        "subject": {"factory": f"{__name__}:Hostile"},
        "corpus": {"source": str(folder / "corpus.txt")},
        "features": [0],
        "budget": {"rounds": 2, "experiments": 30},
        "database": str(folder / "run.duckdb"),
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, __name__, sys.modules[__name__])
        assert run_saesage("explain", folder / "run.yaml").code in (0, 1)
    assert run_saesage("evaluate", folder / "run.duckdb").code == 0
    assert run_saesage("report", folder / "run.duckdb", "-o", folder / "r.html").code == 0
    return folder / "r.html"


@pytest.mark.parametrize("guarded", [True, False], ids=["as it is", "without its policy"])
def test_markup_and_scripts_in_a_corpus_do_nothing(
    browser: Browser, hostile_report: Path, guarded: bool
) -> None:
    """Escaping alone must do; that the policy would stop scripts is not what keeps them out."""
    html = hostile_report.read_text(encoding="utf-8")
    if not guarded:
        html, n = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
        assert n == 1
    copy = hostile_report.with_name("opened.html")
    copy.write_text(html, encoding="utf-8")
    with opened(browser, copy.as_uri()) as page:
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        for token in page.locator(".passages b").all()[:5]:
            token.hover()
        assert page.evaluate("window.harmed") is None
        assert page.locator("script").count() == 1
        assert page.locator("img, main style, #overview b").count() == 0
        shown = page.locator("#f0").inner_text()
        for text in HOSTILE:
            assert text in shown


def test_the_policy_would_stop_a_script_that_slipped_through(
    browser: Browser, hostile_report: Path
) -> None:
    html = hostile_report.read_text(encoding="utf-8")
    copy = hostile_report.with_name("slipped.html")
    slipped = "<main><script>window.harmed=1</script><img src=x onerror=window.harmed=1>"
    copy.write_text(html.replace("<main>", slipped, 1), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(copy.as_uri())
    assert page.evaluate("window.harmed") is None
    context.close()
