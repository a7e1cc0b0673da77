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

import torch
from sae_lens import TopKSAE, TopKSAEConfig
from sae_lens.saes.sae import SAEMetadata

from evaluation.bench.harvest_subject import demo_sample, demo_subject, harvest_all
from tools.harvest.sampling import CorpusSample
from tools.subject import LoadedSubject

TOKENS = 100_000
_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")


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
        subject = demo_subject(_sae(Path(folder) / "sae", n_latents))
        sample = demo_sample(subject, n_tokens)
        cost = _cost(subject, sample, Path(folder))
        sys.stdout.write(f"{cost.seconds:.3f} {cost.mebibytes:.1f}\n")


def _cost(subject: LoadedSubject, sample: CorpusSample, folder: Path) -> Cost:
    before = _mebibytes("VmRSS")
    # 5 asks Linux to forget the highest resident size so far.
    _RESET_PEAK.write_text("5")
    start = time.perf_counter()
    harvest_all(subject, sample, folder)
    return Cost(time.perf_counter() - start, _mebibytes("VmHWM") - before)


def _mebibytes(field: str) -> float:
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next(int(line[1]) for line in lines if line[0] == f"{field}:") / 1024


def _sae(path: Path, n_latents: int) -> Path | None:
    """A random SAE on the demo's hook point; None for the demo's own."""
    own = demo_subject(None)
    if n_latents == own.info.n_features:
        return None
    metadata = SAEMetadata(
        hook_name=own.info.hook_point, context_size=own.info.context_size, prepend_bos=True
    )
    width = int(own.sae.cfg.d_in)
    sae = TopKSAE(
        TopKSAEConfig(d_in=width, d_sae=n_latents, k=min(24, n_latents // 4), metadata=metadata)
    )
    torch.manual_seed(0)
    torch.nn.init.normal_(sae.W_enc, std=width**-0.5)
    sae.save_model(path)
    return path


if __name__ == "__main__":
    main()
