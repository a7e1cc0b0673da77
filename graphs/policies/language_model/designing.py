"""The Designer: a set of texts for each hypothesis, each text fit to be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graphs.policies.language_model.case_rows import hypothesis_rows, most_telling, result_rows
from graphs.policies.language_model.exhibits import (
    exemplar_rows,
    feature_rows,
    threshold_values,
    token_rows,
)
from graphs.policies.language_model.replies import DesignerReply, designer_reply
from graphs.policies.language_model.text_check import TextCheck
from graphs.policies.language_model.words import clean
from graphs.policies.protocols import Case, Dossier
from graphs.records import Design, Hypothesis, Observation, Setback
from tools.errors import BudgetSpent, LanguageModelError, MalformedReply, UnusableReply
from tools.exemplars import Exemplar
from tools.llm.data_blocks import data_block, fitting
from tools.llm.language_model import LanguageModel, Question
from tools.llm.prompt_files import PromptFile

FIRST_ROUND = 8
LATER = 6
"""Texts for each hypothesis."""
FEWEST = 2
"""Texts that can decide about a hypothesis."""
_BANDS = {"top": 3, "quantile_3": 1, "quantile_1": 1, "near_miss": 2, "random": 1}
_TOKENS = 20

Answer = list[Design | Setback]


@dataclass(frozen=True, slots=True)
class Task:
    """What one request is about."""

    hypotheses: tuple[Hypothesis, ...]
    count: int
    """Texts for each."""


def design_experiments(
    model: LanguageModel, prompt: PromptFile, dossier: Dossier, case: Case, room: int
) -> Answer:
    """Ask for texts: at first for each hypothesis by itself, side by side; later for all at once.

    Raises:
        CallFailed: the server failed to answer.
        BudgetSpent: no question could be asked.
    """
    tasks = _tasks(case, room)
    common = {
        "feature": data_block("feature", feature_rows(dossier)),
        "tokens": data_block("tokens", fitting(token_rows(dossier, _TOKENS), 1500)),
        **threshold_values(dossier),
    }
    answers = model.ask([_question(prompt, common, dossier, case, task) for task in tasks])
    out_of_budget = [answer for answer in answers if isinstance(answer, BudgetSpent)]
    if out_of_budget and len(out_of_budget) == len(answers):
        raise out_of_budget[0]
    designs: Answer = []
    for task, answer in zip(tasks, answers, strict=True):
        if isinstance(answer, LanguageModelError):
            designs.extend(_setbacks(task, answer))
        else:
            designs.extend(answer)
    return designs


def _setbacks(task: Task, failure: LanguageModelError) -> list[Setback]:
    """What a question without an answer means for its hypotheses.

    Raises:
        LanguageModelError: the failure, where asking again later may succeed.
    """
    if isinstance(failure, BudgetSpent):
        reason = str(failure)
    elif isinstance(failure, MalformedReply):
        reason = clean(f"no text was designed for it: {failure}", 300)
    else:
        raise failure
    spent = isinstance(failure, BudgetSpent)
    return [Setback(hypothesis=h.id, reason=reason, spent=spent) for h in task.hypotheses]


def _tasks(case: Case, room: int) -> list[Task]:
    """Who is asked about together, the room being shared evenly."""
    asked = [case.hypothesis(id) for id in case.open][:room]
    if not asked:
        return []
    count = min(LATER if case.round else FIRST_ROUND, room // len(asked))
    groups = [tuple(asked)] if case.round else [(hypothesis,) for hypothesis in asked]
    return [Task(group, count) for group in groups]


def _question(
    prompt: PromptFile, common: Mapping[str, str], dossier: Dossier, case: Case, task: Task
) -> Question[Answer]:
    def read(reply: DesignerReply, last: bool) -> Answer:
        return _designs(reply, task, _checks(dossier, case, task), last=last)

    return Question(
        role="designer",
        feature=dossier.feature,
        prompt=prompt.fill({**common, **_exhibits(dossier, case, task)}),
        reply=designer_reply(tuple(h.id for h in task.hypotheses)),
        read=read,
    )


def _exhibits(dossier: Dossier, case: Case, task: Task) -> dict[str, str]:
    """What one task is shown besides what all are shown, by placeholder."""
    asked = [h.id for h in task.hypotheses]
    fallen = ("refuted", "dropped")
    rivals = [h for h in case.hypotheses if h.id not in asked and h.status not in fallen]
    shown = [
        *hypothesis_rows(task.hypotheses, open=asked, notes=False),
        *fitting(hypothesis_rows(rivals, notes=False), 1600),
    ]
    exemplars = exemplar_rows(_contexts(dossier, case, task), dossier, _BANDS, longest=150)
    results = result_rows(dossier, case, _measured(case, task), 2000, 100)
    return {
        "hypotheses": data_block("hypotheses", shown),
        "exemplars": data_block("exemplars", exemplars),
        "results": data_block("results", results),
        "count": str(task.count),
    }


def _contexts(dossier: Dossier, case: Case, task: Task) -> list[Exemplar]:
    """Real contexts to borrow and edit, from the test split; others for every question."""
    numbers = [int(h.id[1:]) for h in task.hypotheses]
    order = np.random.default_rng([dossier.seed, case.round, *numbers])
    return [dossier.contexts[i] for i in order.permutation(len(dossier.contexts)).tolist()]


def _measured(case: Case, task: Task) -> list[Observation]:
    """What was measured: of the hypotheses in question and their parents first."""
    parents = {h.parent for h in task.hypotheses}
    near = [h for h in case.hypotheses if h.id in parents or h in task.hypotheses]
    others = [h for h in case.hypotheses if h not in near]
    return [*most_telling(case, near), *most_telling(case, others)]


def _checks(dossier: Dossier, case: Case, task: Task) -> dict[str, TextCheck]:
    return {
        h.id: TextCheck(
            dossier.tokenization,
            h,
            {e.text for e in case.experiments if e.hypothesis == h.id or e.round <= h.round},
        )
        for h in task.hypotheses
    }


def _designs(
    reply: DesignerReply, task: Task, checks: dict[str, TextCheck], *, last: bool
) -> Answer:
    """The texts that can be used, those of a kind together.

    Raises:
        UnusableReply: too few of them can, unless this is the `last` try.
    """
    troubles: list[str] = []
    for item in reply.experiments:
        if item.hypothesis not in checks:
            troubles.append(f"{clean(item.hypothesis, 20)!r} is not one of {', '.join(checks)}")
        elif trouble := checks[item.hypothesis].add(item):
            troubles.append(f"{trouble} ({clean(item.text, 40)!r})")
    short = [id for id, check in checks.items() if len(check) < min(FEWEST, task.count)]
    if short and not last:
        raise UnusableReply(
            f"Too few usable texts for {', '.join(short)}; {task.count} are wanted for each. "
            f"{'; '.join(troubles)[:600]}"
        )
    return [item for check in checks.values() for item in check.designs(task.count)]
