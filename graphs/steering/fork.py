"""Forks: a new thread that goes on from a checkpoint of another one, with the user's edits.

A fork is a run of one feature, named `<run>~<fork>`, with a configuration, a budget and a thread of
its own: whatever reads runs reads forks. Its original is only read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import count

from duckdb import DuckDBPyConnection
from langgraph.checkpoint.base import empty_checkpoint

from graphs.checkpointer import DuckDBSaver
from graphs.config import RunConfig
from graphs.config_file import with_settings
from graphs.context import Limits, limits_of
from graphs.findings import Findings
from graphs.projection import split_thread, thread_of
from graphs.records import Edits, ForkedFrom
from graphs.routing import where_to_test
from graphs.runs import FORK_MARK, Run, RunStore
from graphs.state import ExplainState
from graphs.steering.checkpoints import find_checkpoint
from graphs.steering.edits import NO_EDITS, check_texts, edited
from graphs.steering.moments import BRANCH_TO, Moment, moment
from tools.activations import Tokenization
from tools.database import Database
from tools.errors import EditRefused, FeatureBusy

SETTINGS = ("policies", "budget", "llm", "review", "concurrency")
"""Sections that may change in a fork; the rest is what its evidence was measured with."""

_LATER = {
    False: ("gather_exemplars", "generate_hypotheses", "analyze_evidence", "refine_hypotheses"),
    True: ("gather_exemplars", "generate_hypotheses"),
}
"""By whether there are new texts to be measured: nodes that run first all the same, for what is
edited has its turn after them."""

_NAME = re.compile(r"[\w.-]+")


def fork(
    database: Database,
    thread: str,
    tokenization: Callable[[], Tokenization],
    *,
    at: str | None = None,
    edits: Edits = NO_EDITS,
    settings: Sequence[str] = (),
    name: str | None = None,
) -> str:
    """Make a fork; `finish_run` then explains it.

    Args:
        database: Has the thread.
        thread: The original, `<run>/<feature>`; may be a fork.
        tokenization: Gives the run's subject; asked where there are new texts, which must fit its
            context.
        at: A step of the history, or a checkpoint's id; None for the newest.
        edits: What to change there.
        settings: Changes of the configuration, such as `budget.rounds=20`.
        name: Of the fork; by default the feature and a number, such as `17-1`.

    Returns:
        The fork's thread, `<run>~<name>/<feature>`.

    Raises:
        RunNotFound, CheckpointNotFound: there is no such thread or checkpoint.
        FeatureBusy: the feature is still being explained.
        EditRefused, RuleError: the edits cannot be applied, or nothing would change.
        ConfigError: a setting is wrong, or may not change in a fork.
    """
    run_name, feature = split_thread(thread)
    store = RunStore(database)
    run = store.named(run_name)
    _check_rest(database, run, feature)
    config = fork_config(run.config, feature, settings)
    origin = ForkedFrom(
        thread=thread,
        checkpoint=find_checkpoint(database, thread, at),
        edits=edits,
        settings=tuple(settings),
    )
    _changed_moment(moment(database, thread, origin.checkpoint), origin, limits_of(config))
    if edits.experiments:
        check_texts(edits, tokenization())
    harvest = store.harvest(run)
    with database.transaction() as connection:
        full_name = f"{run.root}{FORK_MARK}{_free_name(connection, run.root, feature, name)}"
        store.add(connection, Run(full_name, config, config.config_hash, origin))
        connection.execute(
            "INSERT INTO forks (run, root, feature, forked_from) VALUES (?, ?, ?, ?)",
            [full_name, run.root, feature, origin.model_dump_json()],
        )
        connection.execute(
            "INSERT INTO run_features VALUES (?, ?, 0, ?)", [full_name, feature, harvest]
        )
    return thread_of(full_name, feature)


def fork_config(config: RunConfig, feature: int, settings: Sequence[str]) -> RunConfig:
    """The configuration of a fork.

    Raises:
        ConfigError: a setting is wrong, or may not change in a fork.
    """
    changed = with_settings(
        config, settings, SETTINGS, "the rest is what the copied evidence was measured with."
    )
    return changed.model_copy(update={"features": (feature,)})


def begin_fork(saver: DuckDBSaver, run: Run, feature: int, limits: Limits) -> None:
    """Store the fork's first checkpoint: the original's, with the edits applied.

    Raises:
        CheckpointNotFound: the original's was deleted meanwhile.
    """
    assert run.forked_from is not None, "only forks are begun so"
    origin = run.forked_from
    there = moment(saver.database, origin.thread, origin.checkpoint)
    state, node = _changed_moment(there, origin, limits)
    values = {**state, "run": run.name, "forked_from": origin, f"{BRANCH_TO}{node}": None}
    versions = {channel: saver.get_next_version(None, None) for channel in values}
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = values
    checkpoint["channel_versions"] = dict(versions)
    saver.put(
        {"configurable": {"thread_id": thread_of(run.name, feature), "checkpoint_ns": ""}},
        checkpoint,
        {"source": "fork", "step": 0, "parents": {}},
        dict(versions),
    )


def _changed_moment(there: Moment, origin: ForkedFrom, limits: Limits) -> tuple[ExplainState, str]:
    """The state with the edits, and the node that goes on with it."""
    edits = origin.edits
    state: ExplainState = {**there.state, "stopped": ""}
    if state["status"] in ("dead", "too_rare"):
        raise EditRefused(
            f"feature {state['feature']} is {state['status']} on this corpus: there is nothing to "
            "go on with; explain it on a larger one."
        )
    # Where it was to end or to wait, other settings may have it go on instead.
    ends = there.next in (None, "conclude", "ask_user")
    if edits.empty and there.next is not None and not (ends and origin.settings):
        return state, there.next
    if edits.empty and not origin.settings:
        raise EditRefused(
            "the investigation has ended at this checkpoint, and nothing is changed; add a "
            "hypothesis or an experiment, or fork at an earlier one (see `saesage history`)."
        )
    changes = edited(state, edits, limits)
    changed: ExplainState = {**changes.applied(state), "status": "running", "explanation": None}
    if there.next is not None and there.next in _LATER[bool(changes.experiments)]:
        return changed, there.next
    if there.next in ("run_experiments", "analyze_evidence"):
        own = [e.model_copy(update={"round": state["round"]}) for e in changes.experiments]
        return changes._replace(experiments=own).applied(changed), "run_experiments"
    node = where_to_test(changed, limits)
    if changes.experiments and node == "run_experiments":
        changed["round"] += 1
    return changed, node


def _check_rest(database: Database, run: Run, feature: int) -> None:
    status = Findings(database).feature(run, feature)["status"]
    if status in ("pending", "running"):
        raise FeatureBusy(
            f"feature {feature} of run {run.name} is {status}; wait until it is explained, or "
            f"finish it with `saesage resume {database.path}`, and fork it then."
        )


def _free_name(connection: DuckDBPyConnection, root: str, feature: int, name: str | None) -> str:
    """The name asked for, or the next number of the feature.

    Raises:
        EditRefused: another fork of the run has it, or it cannot be one.
    """
    taken = {
        run.rpartition(FORK_MARK)[2]
        for (run,) in connection.execute("SELECT run FROM forks WHERE root = ?", [root]).fetchall()
    }
    if name is None:
        return next(own for n in count(1) if (own := f"{feature}-{n}") not in taken)
    if not _NAME.fullmatch(name):
        raise EditRefused(f"{name!r} is no name for a fork; use letters, digits, '-', '_' and '.'.")
    if name in taken:
        raise EditRefused(f"run {root} has a fork {name!r} already; choose another --name.")
    return name
