"""The report: one HTML file with the overview and every feature."""

from __future__ import annotations

from collections.abc import Sequence

from graphs.page.feature_reader import FeatureReader
from graphs.page.reading import read_overview
from graphs.page.records import Message
from graphs.page.rendering import document, feature_html, overview_html, prompts_html
from graphs.page.threads import chosen_threads, threads_of
from graphs.runs import RunStore
from tools.database import Database


def report_html(
    database: Database, features: Sequence[int] | None = None, run: str | None = None
) -> str:
    """A page that needs no other file and no network.

    Args:
        database: open.
        features: those to report; None for all.
        run: its name; None for the newest.

    Raises:
        RunNotFound: there is no such run, or it does not explain one of the features.
    """
    overview = read_overview(database, features, run)
    store = RunStore(database)
    threads = chosen_threads(threads_of(database, store.named(overview.run.name)), features)
    ids: dict[str, list[str]] = {}
    for thread in threads:
        ids.setdefault(thread.run, []).append(thread.id)
    readers = {name: FeatureReader(database, store.named(name), ids[name]) for name in ids}
    articles: list[str] = []
    prompts: dict[str, Message] = {}
    for thread in threads:
        page = readers[thread.run].page(thread)
        articles.append(feature_html(page, with_prompts=False))
        prompts |= page.prompts
    body = "\n".join((overview_html(overview), *articles, prompts_html(prompts)))
    return document(f"saesage: {overview.run.model}", body)
