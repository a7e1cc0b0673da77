"""The demo's model and corpus, and a whole harvest of them, for the harvest's benchmarks."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import torch
from sae_lens import TopKSAE, TopKSAEConfig
from sae_lens.saes.sae import SAEMetadata

from graphs.storage import open_database
from tools.corpus import CorpusSpec
from tools.harvest.firings import MEMORY_GIB, tokens_per_block
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import CorpusSample, sample_corpus
from tools.harvest.store import ExemplarStore, HarvestIdentity
from tools.subject import LoadedSubject, SaeSource, SubjectSpec, load_subject

DEMO = Path(__file__).parents[2] / "tools" / "demo"
MODEL, SAE = DEMO / "model", DEMO / "sae"


def demo_subject(sae: Path | None) -> LoadedSubject:
    """The demo's model on a CPU with an SAE of one's own, or its own where None."""
    return load_subject(SubjectSpec(str(MODEL), SaeSource(path=str(sae or SAE)), device="cpu"))


def demo_sample(subject: LoadedSubject, max_tokens: int) -> CorpusSample:
    """The standard library as the quickstart cuts it."""
    return sample_corpus(subject, CorpusSpec("python-stdlib", max_tokens), seed=0)


def random_sae(path: Path, own: LoadedSubject, n_latents: int, seed: int = 0) -> Path:
    """A random TopK SAE where the demo's `own` reads."""
    metadata = SAEMetadata(
        hook_name=own.info.hook_point, context_size=own.info.context_size, prepend_bos=True
    )
    width, k = int(own.sae.cfg.d_in), min(24, n_latents // 4)
    sae = TopKSAE(TopKSAEConfig(d_in=width, d_sae=n_latents, k=k, metadata=metadata))
    torch.manual_seed(seed)
    torch.nn.init.normal_(sae.W_enc, std=width**-0.5)
    sae.save_model(path)
    return path


def harvest_all(subject: LoadedSubject, sample: CorpusSample, folder: Path) -> Harvest:
    """One pass for every feature, and the choice of everything that is kept of each."""
    found = _pass(subject, sample, folder)
    deque(found.kept(found.features), maxlen=0)
    return found


def store_all(subject: LoadedSubject, sample: CorpusSample, folder: Path) -> None:
    """The same, put into a DuckDB file."""
    found = _pass(subject, sample, folder)
    with open_database(str(folder / "harvest.duckdb"), create=True) as database:
        ExemplarStore(database).save(HarvestIdentity("all", "", ""), found, found.features)


def _pass(subject: LoadedSubject, sample: CorpusSample, folder: Path) -> Harvest:
    n_features = subject.info.n_features
    block_tokens = tokens_per_block(n_features, MEMORY_GIB)
    features = range(n_features)
    return harvest(subject, sample, features, folder=folder / "blocks", block_tokens=block_tokens)
