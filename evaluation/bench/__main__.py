"""Run every benchmark, or those named: `python -m evaluation.bench [NAME ...]`.

`bench.json` and the README's table are written from what each measured last, once all have been.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console

from evaluation.bench.experiments import experiment_rows
from evaluation.bench.harvest import harvest_profile, harvest_rows
from evaluation.bench.language_model import language_model_rows
from evaluation.bench.live import live_rows
from evaluation.bench.report import keep, show, write
from evaluation.bench.rows import BenchRow
from evaluation.bench.rules import rule_rows
from evaluation.bench.several_saes import several_saes_rows
from evaluation.bench.startup import startup_rows
from evaluation.bench.storage import storage_rows
from tools.heaps import share_heaps
from tools.lasting import import_lasting

BENCHMARKS: Mapping[str, Callable[[], Sequence[BenchRow]]] = {
    "startup": startup_rows,
    "rules": rule_rows,
    "harvest": harvest_rows,
    "several_saes": several_saes_rows,
    "language_model": language_model_rows,
    "storage": storage_rows,
    "experiments": experiment_rows,
    "live": live_rows,
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names: list[str] = parser.parse_args().names
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no benchmark {sorted(unknown)[0]!r}; there are {', '.join(BENCHMARKS)}")
    # As every saesage process begins.
    share_heaps()
    import_lasting("tools.subject")
    console = Console()
    for name in names or BENCHMARKS:
        console.print(f"measuring {name} ...", style="dim")
        rows = BENCHMARKS[name]()
        show(rows, console)
        keep(name, rows, harvest_profile() if name == "harvest" else "")
    if missing := write(BENCHMARKS):
        console.print(f"the README's table still wants {', '.join(missing)}", style="dim")


if __name__ == "__main__":
    main()
