"""The method as a graph: every node and edge, in the order in which they run."""

from __future__ import annotations

import time
from typing import Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from graphs.context import ExplainContext
from graphs.nodes.analyze_evidence import analyze_evidence
from graphs.nodes.ask_user import ask_user
from graphs.nodes.conclude import conclude
from graphs.nodes.design_experiments import design_experiments
from graphs.nodes.gather_exemplars import gather_exemplars
from graphs.nodes.generate_hypotheses import generate_hypotheses
from graphs.nodes.refine_hypotheses import refine_hypotheses
from graphs.nodes.review import review
from graphs.nodes.run_experiments import run_experiments
from graphs.routing import (
    after_asking,
    after_designing,
    after_gathering,
    after_generating,
    after_refining,
    after_review,
)
from graphs.state import ExplainState, StateUpdate

ExplainGraph = CompiledStateGraph[ExplainState, ExplainContext, ExplainState, ExplainState]


class Node(Protocol):
    """One step of the method: it reads the state and gives back what it changes."""

    def __call__(self, state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
        """Never touches `state`."""
        ...


def build_graph(checkpointer: BaseCheckpointSaver[str] | None = None) -> ExplainGraph:
    """The state machine that explains one feature; a thread is `<run>/<feature>`."""
    graph = StateGraph(ExplainState, context_schema=ExplainContext)
    graph.add_node("gather_exemplars", timed(gather_exemplars))
    graph.add_node("generate_hypotheses", timed(generate_hypotheses))
    graph.add_node("design_experiments", timed(design_experiments))
    graph.add_node("run_experiments", timed(run_experiments))
    graph.add_node("analyze_evidence", timed(analyze_evidence))
    graph.add_node("refine_hypotheses", timed(refine_hypotheses))
    graph.add_node("review", timed(review))
    graph.add_node("ask_user", timed(ask_user))
    graph.add_node("conclude", timed(conclude))

    graph.add_edge(START, "gather_exemplars")
    graph.add_conditional_edges("gather_exemplars", after_gathering)
    graph.add_conditional_edges("generate_hypotheses", after_generating)
    graph.add_conditional_edges("design_experiments", after_designing)
    graph.add_edge("run_experiments", "analyze_evidence")
    graph.add_edge("analyze_evidence", "refine_hypotheses")
    graph.add_conditional_edges("refine_hypotheses", after_refining)
    graph.add_conditional_edges("review", after_review)
    graph.add_conditional_edges("ask_user", after_asking)
    graph.set_finish_point("conclude")
    return graph.compile(checkpointer=checkpointer)


def timed(node: Node) -> Node:
    """The node, with the seconds it took added to its update."""

    def run(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
        start = time.perf_counter()
        update = node(state, runtime)
        return {**update, "seconds": time.perf_counter() - start}

    return run
