"""What a harvest takes beside the loaded subject, measured in a process of its own.

Run as `python -m evaluation.bench.harvest_memory N_LATENTS`; prints MiB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from sae_lens import TopKSAE, TopKSAEConfig
from sae_lens.saes.sae import SAEMetadata

from evaluation.bench.harvest_subject import demo_sample, demo_subject, harvest_all
from tools.harvest.sampling import CorpusSample
from tools.subject import LoadedSubject

TOKENS = 100_000
_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")


def extra_memory(n_latents: int) -> float:
    """MiB that harvesting all latents adds to the resident memory at its peak."""
    command = [sys.executable, "-m", "evaluation.bench.harvest_memory", str(n_latents)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        subject = demo_subject(_sae(Path(folder) / "sae", int(sys.argv[1])))
        sample = demo_sample(subject, TOKENS)
        sys.stdout.write(f"{_peak_of_harvest(subject, sample, Path(folder)):.1f}\n")


def _peak_of_harvest(subject: LoadedSubject, sample: CorpusSample, folder: Path) -> float:
    before = _mebibytes("VmRSS")
    # 5 asks Linux to forget the highest resident size so far.
    _RESET_PEAK.write_text("5")
    harvest_all(subject, sample, folder)
    return _mebibytes("VmHWM") - before


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
    sae = TopKSAE(TopKSAEConfig(d_in=width, d_sae=n_latents, k=24, metadata=metadata))
    torch.manual_seed(0)
    torch.nn.init.normal_(sae.W_enc, std=width**-0.5)
    sae.save_model(path)
    return path


if __name__ == "__main__":
    main()
