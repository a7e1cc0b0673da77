"""The report of a language-model run: each request with its reply, and what it cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphs.page.reading import read_feature, read_overview
from graphs.page.rendering import feature_html, overview_html
from graphs.storage import open_database
from tests.llm_explaining import make_subject, saesage_says, write_config
from tests.llm_server import LoopbackServer
from tests.llm_server.scientist import scientist


def test_prompts_and_replies_are_shown_with_their_cost(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_subject(tmp_path)
    with LoopbackServer(scientist) as server:
        prices = {"scientist": {"input": 1.0, "output": 2.0}}
        config = write_config(
            tmp_path / "run.yaml", tmp_path, [13], base_url=server.base_url, prices=prices
        )
        assert saesage_says(capfd, "explain", config).code in (0, 1)
    with open_database(str(tmp_path / "run.duckdb"), create=False) as database:
        overview = read_overview(database)
        [row] = overview.threads
        page = read_feature(database, row.thread)
        asked = database.rows("SELECT reply FROM llm_calls ORDER BY id")
    assert [call.reply for call in page.calls] == [reply for (reply,) in asked]
    assert row.spending.calls == server.count == len(asked)
    assert row.spending.cost is not None
    assert f"${row.spending.cost:.3g}" in overview_html(overview)
    html = feature_html(page)
    for call in page.calls:
        assert f'href="#prompt-{call.messages[0].digest}"' in html
        assert html.count(f'id="prompt-{call.messages[0].digest}"') == 1
    assert html.count("<h4>reply</h4>") == len(asked)
    for call in page.calls:
        assert [message.role for message in call.messages][0] == "system"
        assert f"{call.tokens_in:,} → {call.tokens_out:,} tokens" in html
    assert any(node.interpretation and node.interpretation in html for node in page.hypotheses)
    assert page.logits is not None
    assert page.logits.top[0][0].strip() in html
