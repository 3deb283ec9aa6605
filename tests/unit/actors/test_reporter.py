"""The reporter: says what is durable, at least once, and never twice in one life (D-18)."""

from __future__ import annotations

import pytest

from actors.reporter import RETRY_MS, Reporter
from actors.writer import Delivered, RowsDurable
from messages.addresses import REPORTER, WRITER
from messages.control import Answer
from portfolio.outcomes import Alert
from tests.support.probes import FakeOutbox, FakeSink, Small, alert
from tests.support.system import Answers, Build, RecordingMetrics


class World(Small):
    """A reporter with what it speaks to."""

    def __init__(self, *waiting: Alert, failures: int = 0) -> None:
        super().__init__()
        self.sink, self.metrics, self.answers = FakeSink(failures), RecordingMetrics(), Answers()
        self.writer = self.probe(WRITER)
        Reporter.start(self.system, self.sink, self.metrics, FakeOutbox(*waiting), self.answers)
        self.runtime.run_until_idle()


@pytest.mark.req("D-18")
def test_a_durable_alert_is_said_once_and_noted_as_delivered() -> None:
    world = World()
    world.tell(REPORTER, RowsDurable(rows=(alert("one"), alert("two"))), RowsDurable(rows=(alert("one"),)))
    assert world.sink.said == ["one", "two"]
    assert world.writer.taken == [Delivered(keys=("one", "two"))]


@pytest.mark.req("D-18")
def test_what_no_channel_took_is_tried_again_in_order() -> None:
    world = World(failures=2)
    world.tell(REPORTER, RowsDurable(rows=(alert("one"), alert("two"))))
    assert (world.sink.said, world.writer.taken) == ([], [])
    world.runtime.run_for(RETRY_MS)
    assert world.sink.said == []
    world.runtime.run_for(RETRY_MS)
    assert world.sink.said == ["one", "two"]
    assert world.writer.taken == [Delivered(keys=("one", "two"))]


@pytest.mark.req("D-18")
def test_what_an_earlier_life_could_not_say_is_said_at_start() -> None:
    world = World(alert("old"))
    assert world.sink.said == ["old"]
    assert world.writer.taken == [Delivered(keys=("old",))]


@pytest.mark.req("D-18")
def test_an_alert_of_a_crashed_process_is_said_by_the_next(build: Build) -> None:
    """The whole way: the commit is durable, the process dies before the word is out."""
    harness = build()
    harness.venue.add_market("0xa")
    harness.venue.balances["0xa-yes"] = 2_000_000_000
    harness.start()
    harness.venue.balances["0xa-yes"] = 100_000_000
    said = harness.sink.send
    harness.sink.send = _dead  # type: ignore[method-assign]  # the channel is down until the process is, too
    harness.cycles(2)
    assert harness.queries.counts()["pending_alerts"] == 3
    harness.sink.send = said  # type: ignore[method-assign]
    harness.restart()
    assert sorted(harness.sink.codes()) == [
        "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY",
        "PORTFOLIO_SYNC_DISCREPANCY",
        "PORTFOLIO_SYNC_STRATEGY_PAUSED",
    ]
    assert harness.queries.counts()["pending_alerts"] == 0
    harness.restart()
    assert len(harness.sink.alerts) == 3


def _dead(alert: Alert) -> None:
    raise ConnectionError(alert.key)


def test_answers_reach_who_waits_for_them() -> None:
    world = World()
    world.tell(REPORTER, Answer(request_id="7", ok=False, detail="no", body=b"1"))
    assert world.answers.given == {"7": (False, "no", b"1")}
