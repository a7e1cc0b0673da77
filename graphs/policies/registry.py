"""From a name in the configuration to a policy object."""

from __future__ import annotations

from typing import Any

from graphs.config import ROLES, RunConfig
from graphs.context import Policies
from graphs.foreign import foreign_code, imported
from graphs.policies.guard import GuardedPolicy
from graphs.policies.protocols import (
    Concluder,
    EvidenceAnalyst,
    ExperimentDesigner,
    HypothesisGenerator,
    HypothesisRefiner,
    MadeForRun,
    RunServices,
)
from tools.errors import PolicyError

REGISTERED: dict[str, str] = {
    "symbolic": "graphs.policies.symbolic:SymbolicPolicy",
    "language_model": "graphs.policies.language_model:LanguageModelPolicy",
}
"""Names that a configuration may use instead of an import path."""

PROTOCOLS: dict[str, type[Any]] = {
    "generate_hypotheses": HypothesisGenerator,
    "design_experiments": ExperimentDesigner,
    "analyze_evidence": EvidenceAnalyst,
    "refine_hypotheses": HypothesisRefiner,
    "conclude": Concluder,
}


def load_policies(config: RunConfig, services: RunServices) -> Policies:
    """One policy object for each role; roles of the same name share one object.

    A class with a classmethod `for_run` is made by it, any other without arguments.

    Raises:
        PolicyError: a name is unknown, cannot be imported or made, or lacks a method of its role.
    """
    named = {role: config.policy_of(role) for role in ROLES}
    made = {name: _make(name, services) for name in dict.fromkeys(named.values())}
    for role, name in named.items():
        if not isinstance(made[name], PROTOCOLS[role]):
            methods = ", ".join(name for name in vars(PROTOCOLS[role]) if not name.startswith("_"))
            raise PolicyError(f"policy {name!r} cannot take the role {role}: it needs {methods}.")
    guarded: dict[str, Any] = {name: GuardedPolicy(name, policy) for name, policy in made.items()}
    return Policies(**{role: guarded[name] for role, name in named.items()})


def _make(name: str, services: RunServices) -> Any:
    named = policy_class(name)
    with foreign_code(f"policy {name!r} cannot be made", PolicyError):
        if isinstance(named, MadeForRun):
            return named.for_run(services)
        return named()


def policy_class(name: str) -> Any:
    """What a configuration names as a policy: as a rule, a class.

    Raises:
        PolicyError: the name is unknown or cannot be imported.
    """
    path = REGISTERED.get(name, name)
    if ":" not in path:
        raise PolicyError(
            f"unknown policy {path!r}; registered: {', '.join(REGISTERED)}; "
            "or give an import path such as mypackage.mymodule:MyPolicy."
        )
    return imported(path, "policy", PolicyError)
