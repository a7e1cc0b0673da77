"""A fork has a page of its own that says where it comes from, beside its original's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from graphs.page.reading import read_feature, read_overview
from graphs.page.rendering import feature_html, overview_html
from graphs.storage import open_database
from tests.evaluations import NAMED, evaluated, run_saesage

FEATURE = NAMED["None after is"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("forks") / "run.duckdb"
    shutil.copy(evaluated(tmp_path_factory), copy)
    said = run_saesage("fork", copy, FEATURE, "--at", 3, "--drop", "H2", "--name", "no-h2")
    assert said.code in (0, 1), said.err
    return copy


def test_it_says_where_it_was_forked_and_what_was_changed(path: Path) -> None:
    with open_database(str(path), create=False) as database:
        original, fork = read_overview(database, [FEATURE]).threads
        page = read_feature(database, fork.thread)
        assert read_feature(database, original.thread).origin is None
    assert (original.fork, original.anchor) == (None, f"f{FEATURE}")
    assert (fork.fork, fork.anchor) == ("no-h2", f"f{FEATURE}-no-h2")
    assert page.origin is not None
    assert page.origin.thread == original.thread
    assert page.origin.edits == ("dropped H2",)
    assert {node.id: node.status for node in page.hypotheses}["H2"] == "dropped"
    html = feature_html(page)
    assert f"Forked from {original.thread} at {page.origin.checkpoint}: dropped H2." in html


def test_original_and_fork_stand_side_by_side_on_both_pages(path: Path) -> None:
    with open_database(str(path), create=False) as database:
        threads = read_overview(database, [FEATURE]).threads
        for thread in threads:
            page = read_feature(database, thread.thread)
            assert [each.thread for each in page.siblings] == [each.thread for each in threads]
            assert page.summary in page.siblings


def test_a_fork_does_not_count_in_what_is_said_of_the_run(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = shutil.copy(evaluated(tmp_path_factory), path.with_name("unforked.duckdb"))
    with open_database(str(copy), create=False) as database:
        before = read_overview(database)
    with open_database(str(path), create=False) as database:
        after = read_overview(database)
    assert len(after.threads) == len(before.threads) + 1
    assert (after.kinds, after.most_refuted) == (before.kinds, before.most_refuted)
    html = overview_html(after)
    assert f"{len(before.threads)} features of" in html
    assert "and 1 fork<" in html
