"""How the cost of a harvest grows with tokens and with features.

`python -m evaluation.bench.growth` writes `growth.svg` beside this file, and prints the figures.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.bench.harvest_memory import Cost, cost_of_harvest

PICTURE = Path(__file__).parent / "growth.svg"
TOKENS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
FEATURES = (100, 1_000, 10_000, 100_000)
FIXED_FEATURES = 1_536
FIXED_TOKENS = 30_000


def main() -> None:
    """Measure each size in a process of its own, and draw."""
    by_tokens = {n: _measured(FIXED_FEATURES, n) for n in TOKENS}
    by_features = {n: _measured(n, FIXED_TOKENS) for n in FEATURES}
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw(left, by_tokens, f"tokens ({FIXED_FEATURES} features)")
    _draw(right, by_features, f"features ({FIXED_TOKENS} tokens)")
    figure.savefig(PICTURE)


def _measured(n_features: int, n_tokens: int) -> Cost:
    cost = cost_of_harvest(n_features, n_tokens)
    said = (
        f"{n_features} features, {n_tokens} tokens: {cost.seconds:.1f} s, {cost.mebibytes:.0f} MiB"
    )
    sys.stdout.write(f"{said}\n")
    return cost


def _draw(axes: Axes, costs: dict[int, Cost], what: str) -> None:
    """Seconds and MiB against a size, all on logarithmic scales."""
    sizes = list(costs)
    axes.loglog(sizes, [cost.seconds for cost in costs.values()], "o-", label="seconds")
    axes.loglog(sizes, [cost.mebibytes for cost in costs.values()], "s--", label="MiB beside model")
    axes.set_xlabel(what)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    main()
