"""The Python interface: load a subject, explain features, look at what was found, probe a text.

`import saesage` gives these names. Results show themselves as HTML in Jupyter and as text
elsewhere; errors are those of `tools.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from graphs.config_file import load_config
from graphs.instruments import Instruments
from graphs.notebook.following import Following, Step
from graphs.notebook.views import Investigation, Passages, Results
from graphs.page.reading import read_feature, read_overview
from graphs.page.records import ExemplarGroup, Passage
from graphs.projection import thread_of
from graphs.run import finish_run
from graphs.runs import RunStore
from graphs.storage import open_database
from graphs.subjects import Subjects
from tools.activations import Subject, TextActivations
from tools.errors import EmptyText
from tools.long_texts import measure_texts

QUICKSTART = Path(__file__).parent.parent / "configs" / "quickstart.yaml"
"""The configuration of the shipped demo; good in any working directory."""

# A session comes back to its subject again and again: each is loaded once a process.
_SUBJECTS = Subjects()


def load_subject(config: str | Path, overrides: Sequence[str] = ()) -> Subject:
    """The language model and SAE that a configuration names, ready to measure.

    Args:
        config: a run's YAML file.
        overrides: as the command line's --set: `subject.device=cpu`.

    Raises:
        ConfigError: the configuration is missing or wrong.
        SubjectError: model or SAE cannot be loaded.
    """
    return _SUBJECTS.load(load_config(Path(config), overrides).subject)


def explain(
    config: str | Path,
    *,
    features: Sequence[int] | None = None,
    database: str | Path | None = None,
    overrides: Sequence[str] = (),
    new: bool = False,
    on_step: Callable[[Step], object] | None = None,
) -> Results:
    """Explain features, and keep every step and measurement in a DuckDB file.

    Where the database holds this run already, it goes on from where it stopped; interrupting the
    kernel loses nothing that was stored. Afterwards the file is closed, free for SQL.

    Args:
        config: a run's YAML file.
        features: ids, in place of the configuration's.
        database: a file, in place of the configuration's.
        overrides: as the command line's --set: `budget.rounds=3`.
        new: start another run though the database holds this one.
        on_step: hears each step once it is stored; `print` will do.

    Raises:
        SaesageError: configuration, subject, corpus, policies or database cannot be used. A
            feature that fails alone is told in the results.
    """
    settings = load_config(
        Path(config),
        overrides,
        features=None if features is None else ",".join(map(str, features)),
        database=None if database is None else str(database),
    )
    with open_database(settings.database, create=True) as opened:
        run = RunStore(opened).open(settings, new=new)
        following = Following(opened, run, on_step or _ignore)
        with closing(Instruments(opened, _SUBJECTS)) as instruments:
            finish_run(opened, run, following, instruments=instruments)
        following.finish()
        rows = read_overview(opened, run=run.name).threads
        return Results(database=opened.path, run=run.name, rows=rows)


def look(database: str | Path, feature: int, run: str | None = None) -> Investigation:
    """All that a database holds of one feature.

    Args:
        database: a saesage DuckDB file that no process holds.
        feature: its id.
        run: name of a run or fork; the newest run if not given.

    Raises:
        DatabaseError: the file cannot be used, or holds no such run or feature.
    """
    with open_database(str(database), create=False) as opened:
        store = RunStore(opened)
        chosen = store.latest() if run is None else store.named(run)
        return Investigation(read_feature(opened, thread_of(chosen.name, feature)))


def probe(subject: Subject, feature: int, *texts: str, scale: float | None = None) -> Passages:
    """Measure a feature on texts of any length.

    Args:
        subject: as `load_subject` gives it.
        feature: its id.
        texts: exactly what is tokenised.
        scale: the activation that is shaded fully, such as `look(...).page.scale`; the strongest
            measured here if not given.

    Raises:
        SubjectError: the feature does not exist, or a text is missing or cannot be measured.
    """
    if not texts:
        raise EmptyText("there is no text to measure; give at least one.")
    passages = tuple(_passage(each) for each in measure_texts(subject, texts, [feature]))
    title = f"feature {feature} at {subject.info.hook_point}"
    strongest = max(passage.max_activation for passage in passages)
    return Passages((ExemplarGroup(title, passages),), strongest if scale is None else scale)


def _passage(measured: TextActivations) -> Passage:
    values = tuple(float(value) for value in measured.activations[:, 0])
    return Passage(measured.tokens, values, max(values), cut_before=False, cut_after=False)


def _ignore(step: Step) -> None:
    """Nobody listens."""
