"""One feature from its first step, or from where it stopped, to its last."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from graphs.checkpointer import DuckDBSaver
from graphs.claims import Claims
from graphs.context import ExplainContext
from graphs.explain import ExplainGraph
from graphs.feature_workers import OnStep
from graphs.projection import thread_of
from graphs.runs import Run
from graphs.state import ExplainState, initial_state
from graphs.steering.fork import begin_fork
from graphs.steering.review import answer_of
from tools.errors import SaesageError

STEPS_PER_ROUND = 5
"""Nodes from design_experiments to the next decision, for LangGraph's own limit."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """The compiled graph with what its nodes need, ready for any feature; safe under threads."""

    run: Run
    graph: ExplainGraph
    context: ExplainContext
    saver: DuckDBSaver
    unmeasured: Mapping[int, SaesageError]
    """Features without exemplars, and why."""
    claims: Claims

    def explain(self, feature: int, on_step: OnStep) -> None:
        """Run or resume the feature's thread to its end, once nobody else does.

        Raises:
            SaesageError: the feature cannot be explained; steps before that one are stored.
        """
        if feature in self.unmeasured:
            raise self.unmeasured[feature]
        with self.claims.held(thread_of(self.run.name, feature)):
            self._explain(feature, on_step)

    def _explain(self, feature: int, on_step: OnStep) -> None:
        limits, thread_id = self.context.limits, thread_of(self.run.name, feature)
        config: RunnableConfig = {
            "configurable": {"thread_id": thread_id},
            "recursion_limit": STEPS_PER_ROUND * (limits.rounds + limits.reviews) + 10,
        }
        given = self._begin_or_answer(thread_id, feature)
        # "async": a step need not wait until the one before it is stored. They are stored in
        # order, and all of them before the stream ends, however it ends.
        stream = self.graph.stream(
            given, config, context=self.context, stream_mode="tasks", durability="async"
        )
        with closing(cast("Generator[dict[str, Any]]", stream)) as tasks:
            for task in tasks:
                if "input" in task:
                    on_step(feature, task["name"])

    def _begin_or_answer(self, thread_id: str, feature: int) -> ExplainState | Command[Any] | None:
        """What the graph is to be given: a first state, the user's answer, or nothing new."""
        if not self.saver.begun([thread_id]):
            if self.run.forked_from is None:
                return initial_state(self.run.name, feature)
            begin_fork(self.saver, self.run, feature, self.context.limits)
        answer = answer_of(self.saver.database, thread_id)
        return None if answer is None else Command(resume=answer.model_dump(mode="json"))
