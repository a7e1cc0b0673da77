"""`python -m tests.llm_server`: serves other processes until its input closes."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys

from tests.llm_server.faults import ALL_FAULTS
from tests.llm_server.loopback import LoopbackServer
from tests.llm_server.server import Brain

SCIENTIST = "tests.llm_server.scientist:scientist"


def _share(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    return name, float(share)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.llm_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument("--delay", type=float, default=0.1, help="seconds to each answer")
    parser.add_argument("--fault", type=_share, action="append", default=[], metavar="NAME=SHARE")
    parser.add_argument(
        "--faults-all", type=float, default=0.0, metavar="SHARE", help="spread over all faults"
    )
    parser.add_argument("--seed", type=int, default=0, help="which requests meet which fault")
    parser.add_argument("--require-key", metavar="KEY")
    parser.add_argument("--logprobs", choices=("give", "ignore", "refuse"), default="give")
    parser.add_argument("--brain", default=SCIENTIST, metavar="MODULE:FUNCTION")
    return parser


def _brain(path: str) -> Brain:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def main() -> None:
    """Print the base URL on one line, then serve."""
    parser = _parser()
    options = parser.parse_args()
    share: float = options.faults_all / len(ALL_FAULTS)
    faults = dict.fromkeys(ALL_FAULTS, share)
    faults.update(options.fault)
    try:
        server = LoopbackServer(
            _brain(options.brain),
            delay=options.delay,
            faults=faults,
            seed=options.seed,
            require_key=options.require_key,
            logprobs=options.logprobs,
            port=options.port,
        )
    except ValueError as error:
        parser.error(str(error))
    with contextlib.suppress(KeyboardInterrupt), server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
