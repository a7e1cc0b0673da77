"""The embedded policy: executable rules, induced, tested and refined; no key, no network."""

from graphs.policies.symbolic.policy import SymbolicPolicy

__all__ = ["SymbolicPolicy"]
