"""What a harvest takes beside the loaded subject, measured in a process of its own.

Run as `python -m evaluation.bench.harvest_memory N_LATENTS N_TOKENS`; prints seconds and MiB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from evaluation.bench.harvest_subject import demo_sample, demo_subject, harvest_all, random_sae
from evaluation.resident import forget_peak, peak, resident
from tools.harvest.sampling import CorpusSample
from tools.subject import LoadedSubject

TOKENS = 100_000


class Cost(NamedTuple):
    """What a harvest takes."""

    seconds: float
    mebibytes: float
    """Added to the resident memory, at its peak."""


def cost_of_harvest(n_latents: int, n_tokens: int = TOKENS) -> Cost:
    """Time and memory of harvesting all latents, with as many threads as torch takes."""
    arguments = (str(n_latents), str(n_tokens))
    command = [sys.executable, "-m", "evaluation.bench.harvest_memory", *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, mebibytes = map(float, run.stdout.split()[-2:])
    return Cost(seconds, mebibytes)


def main() -> None:
    """Measure and print."""
    n_latents, n_tokens = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        subject = demo_subject(None)
        if n_latents != subject.info.n_features:
            subject = demo_subject(random_sae(Path(folder) / "sae", subject, n_latents))
        sample = demo_sample(subject, n_tokens)
        cost = _cost(subject, sample, Path(folder))
        sys.stdout.write(f"{cost.seconds:.3f} {cost.mebibytes:.1f}\n")


def _cost(subject: LoadedSubject, sample: CorpusSample, folder: Path) -> Cost:
    before = resident()
    forget_peak()
    start = time.perf_counter()
    harvest_all(subject, sample, folder)
    return Cost(time.perf_counter() - start, peak() - before)


if __name__ == "__main__":
    main()
