"""What a cell shows: each view is HTML in Jupyter and plain text anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from graphs.page.overview import ThreadSummary
from graphs.page.records import ExemplarGroup, FeaturePage, HypothesisNode, Passage, Test
from graphs.page.rendering import (
    STYLE,
    explanation_html,
    passages_html,
    results_html,
    tree_html,
)
from graphs.terminal.shading import shaded
from tools.errors import HypothesisNotFound

# Nested, so that the page's style reaches nothing else in the notebook.
_STYLE = f".saesage{{{STYLE}}}{(Path(__file__).parent / 'cell.css').read_text(encoding='utf-8')}"
_PLAIN = Console(color_system=None)
_HELD = {True: "held", False: "failed", None: "unclear"}


@dataclass(frozen=True, slots=True, repr=False)
class Passages:
    """Texts with a feature's activations; tokens are shaded in units of `scale`."""

    groups: tuple[ExemplarGroup, ...]
    scale: float
    """The activation that is shaded fully, in the SAE's units."""

    @property
    def passages(self) -> tuple[Passage, ...]:
        """Those of all groups."""
        return tuple(passage for group in self.groups for passage in group.passages)

    def _repr_html_(self) -> str:
        return _in_cell(passages_html(self.groups, self.scale))

    def __repr__(self) -> str:
        """One line a passage; tokens above a tenth of the scale in brackets with their share."""
        lines: list[str] = []
        for group in self.groups:
            lines.append(group.title)
            lines += [
                f"{passage.max_activation:8.3g}  "
                f"{_bracketed(passage.tokens, passage.activations, self.scale)}"
                for passage in group.passages
            ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """What is said of a feature, its confidence, and the observations behind each claim."""

    page: FeaturePage

    def _repr_html_(self) -> str:
        return _in_cell(explanation_html(self.page))

    def __repr__(self) -> str:
        """The sentence, the confidence, and the claims a line each."""
        summary = self.page.summary
        lines = [f"feature {summary.feature}, {summary.status}: {summary.words}"]
        if summary.confidence is not None:
            lines.append(f"confidence {summary.confidence:.2f}: {self.page.confidence_basis}")
        lines += [f"- {claim.text} ({', '.join(claim.observations)})" for claim in self.page.claims]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, repr=False)
class HypothesisTree:
    """Hypotheses with their verdicts, each followed by those that refine it."""

    page: FeaturePage
    opened: bool = False
    """Whether the tests are shown at once, and not when asked for."""

    def __getitem__(self, id: str) -> HypothesisTree:
        """One hypothesis with its tests.

        Args:
            id: such as `H2`.

        Raises:
            HypothesisNotFound: there is none of that id.
        """
        found = tuple(node for node in self.page.hypotheses if node.id == id)
        if not found:
            known = ", ".join(node.id for node in self.page.hypotheses) or "none"
            raise HypothesisNotFound(f"there is no hypothesis {id!r}; known: {known}.")
        return HypothesisTree(replace(self.page, hypotheses=found), opened=True)

    def _repr_html_(self) -> str:
        return _in_cell(tree_html(self.page, opened=self.opened))

    def __repr__(self) -> str:
        """One line a hypothesis, indented below the one that it refines; tests where opened."""
        scale = self.page.scale or 0.0
        lines: list[str] = []
        for node in self.page.hypotheses:
            lines.append(_hypothesis_line(node))
            if self.opened:
                lines += [_test_line(test, scale) for test in node.tests]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, repr=False)
class Investigation:
    """What a database holds of one feature."""

    page: FeaturePage
    """The whole of it, as frozen records."""

    @property
    def explanation(self) -> Explanation:
        """What is said of it."""
        return Explanation(self.page)

    @property
    def hypotheses(self) -> HypothesisTree:
        """Its hypotheses; `hypotheses["H2"]` is one with its tests."""
        return HypothesisTree(self.page)

    @property
    def exemplars(self) -> Passages:
        """Where it fires in the corpus, and where it does not though it might."""
        return Passages(self.page.exemplars, self.page.scale or 0.0)

    def _repr_html_(self) -> str:
        return _in_cell(explanation_html(self.page) + tree_html(self.page))

    def __repr__(self) -> str:
        """The explanation above the hypotheses."""
        return f"{self.explanation!r}\n{self.hypotheses!r}"


@dataclass(frozen=True, slots=True, repr=False)
class Results:
    """What came of a run: a line for each feature, and one for each fork."""

    database: str
    run: str
    rows: tuple[ThreadSummary, ...]

    def _repr_html_(self) -> str:
        return _in_cell(results_html(self.rows))

    def __repr__(self) -> str:
        """One line a feature."""
        return "\n".join(_result_line(row) for row in self.rows)


def _in_cell(html: str) -> str:
    return f'<div class="saesage"><style>{_STYLE}</style>{html}</div>'


def _bracketed(tokens: Sequence[str], activations: Sequence[float], scale: float) -> str:
    return shaded(tokens, activations, scale, _PLAIN).plain


def _hypothesis_line(node: HypothesisNode) -> str:
    tally = f"{node.status}, {node.held} of {len(node.tests)} held"
    return f"{'  ' * node.depth}{node.id} ({tally}): {node.statement}"


def _test_line(test: Test, scale: float) -> str:
    if test.normalized is None:
        return f"  {test.id} not run, predicted {test.predicted}: {test.text!r}"
    line = _bracketed(test.tokens, test.activations, scale)
    measured = f"predicted {test.predicted}, measured {test.normalized:.2f}"
    return f"  {test.observation} {_HELD[test.supports]}: {measured}: {line}"


def _result_line(row: ThreadSummary) -> str:
    confidence = "  – " if row.confidence is None else f"{row.confidence:.2f}"
    tests = f"{row.n_experiments:>4} tests, {row.n_refuted} refuted"
    return f"{row.feature:>6}  {row.status:<10} {confidence}  {tests}  {row.words}"
