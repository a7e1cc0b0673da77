"""Many features at a time: failures stay apart, and all end together when they must."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from typing import Any

import pytest

from graphs import feature_workers
from graphs.feature_workers import PASSES, FeatureWorkers
from graphs.stopping import Stop
from tools.errors import (
    CallFailed,
    DatabaseFull,
    LanguageModelUnusable,
    MalformedReply,
    PolicyError,
    RequestRefused,
    SaesageError,
)


class Workers(FeatureWorkers):
    """FeatureWorkers whose reports are kept."""

    def __init__(
        self,
        explain: Any,
        in_flight: int,
        release: Any = lambda: None,
        stop: Stop | None = None,
    ) -> None:
        self.steps: list[tuple[int, str]] = []
        self.tried: list[tuple[int, SaesageError | None]] = []
        super().__init__(
            explain,
            in_flight=in_flight,
            on_step=lambda feature, node: self.steps.append((feature, node)),
            on_done=lambda feature, failure: self.tried.append((feature, failure)),
            release=release,
            stop=stop,
        )


def test_a_failed_feature_leaves_the_others_alone() -> None:
    def explain(feature: int, on_step: Any) -> None:
        if feature % 2:
            raise PolicyError(f"{feature} cannot be")

    workers = Workers(explain, in_flight=3)
    workers.finish(range(8))
    assert sorted(feature for feature, _ in workers.tried) == [*range(8)]
    assert {feature for feature, failure in workers.tried if failure} == {1, 3, 5, 7}


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("kind", [CallFailed, MalformedReply])
def test_what_may_pass_is_tried_again_at_the_end(kind: type[SaesageError], in_flight: int) -> None:
    tries: list[int] = []

    def explain(feature: int, on_step: Any) -> None:
        tries.append(feature)
        if feature == 0 or (feature == 1 and tries.count(1) == 1):
            raise kind("a bad minute")

    workers = Workers(explain, in_flight)
    workers.finish(range(6))
    assert Counter(tries) == {0: PASSES, 1: 2, 2: 1, 3: 1, 4: 1, 5: 1}
    assert sorted(tries[:6]) == [*range(6)]
    assert [failure is None for feature, failure in workers.tried if feature == 1] == [False, True]


@pytest.mark.parametrize("kind", [RequestRefused, PolicyError])
def test_what_would_fail_again_is_not_tried_again(kind: type[SaesageError]) -> None:
    tries: list[int] = []

    def explain(feature: int, on_step: Any) -> None:
        tries.append(feature)
        raise kind("never")

    workers = Workers(explain, in_flight=2)
    workers.finish(range(3))
    assert sorted(tries) == [0, 1, 2]


class Server:
    """What features wait for, until they are released: then their questions are interrupted."""

    def __init__(self, expected: int) -> None:
        self.waiting = threading.Semaphore(0)
        self.expected = expected
        self.released = threading.Event()

    def ask(self) -> None:
        self.waiting.release()
        assert self.released.wait(timeout=10)
        raise KeyboardInterrupt

    def until_all_wait(self) -> None:
        for _ in range(self.expected):
            assert self.waiting.acquire(timeout=10)


@pytest.mark.parametrize(
    "error",
    [DatabaseFull("full"), LanguageModelUnusable("no key"), ZeroDivisionError("a bug")],
    ids=lambda error: type(error).__name__,
)
def test_what_no_feature_can_survive_ends_all(error: Exception) -> None:
    server, begun = Server(expected=3), []

    def explain(feature: int, on_step: Any) -> None:
        begun.append(feature)
        if feature == 3:
            server.until_all_wait()
            raise error
        server.ask()

    workers = Workers(explain, in_flight=4, release=server.released.set)
    before = threading.active_count()
    with pytest.raises(type(error), match=str(error)):
        workers.finish(range(20))
    assert sorted(begun) == [0, 1, 2, 3]
    # Neither the culprit nor those that were stopped count as failed.
    assert workers.tried == []
    assert threading.active_count() == before


def test_ctrl_c_ends_waiting_features_and_begins_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    server, begun, main_waits = Server(expected=4), [], threading.Event()
    wait = feature_workers.wait

    def watched(*arguments: Any, **options: Any) -> Any:
        main_waits.set()
        return wait(*arguments, **options)

    monkeypatch.setattr(feature_workers, "wait", watched)

    def explain(feature: int, on_step: Any) -> None:
        begun.append(feature)
        server.ask()

    def press_ctrl_c() -> None:
        server.until_all_wait()
        assert main_waits.wait(timeout=10)
        ident = threading.main_thread().ident
        assert ident is not None
        signal.pthread_kill(ident, signal.SIGINT)

    workers = Workers(explain, in_flight=4, release=server.released.set)
    before = threading.active_count()
    presser = threading.Thread(target=press_ctrl_c)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        workers.finish(range(20))
    presser.join()
    assert sorted(begun) == [0, 1, 2, 3]
    assert workers.tried == []
    assert threading.active_count() == before
