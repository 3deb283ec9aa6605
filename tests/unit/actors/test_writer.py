"""The one writer: batches, order of effects, and what happens when the disk fails (D-18)."""

from __future__ import annotations

import pytest

from actors.base import Ping, Submit
from actors.writer import BATCH_MAX, Barrier, Delivered, LedgerWriter, RowsDurable, StreamBroken
from messages.addresses import REPORTER, SUPERVISOR, WRITER, Address
from portfolio.facts import TradeStatus
from portfolio.outcomes import FillObservationRow
from tests.support.probes import FakeLedger, FakeOutbox, Probe, Small, alert, submit


class World(Small):
    """A writer with probes around it."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.outbox = FakeLedger(), FakeOutbox()
        self.supervisor, self.reporter = self.probe(SUPERVISOR), self.probe(REPORTER)
        self.asker: Probe = self.probe("asker")
        self.writer = LedgerWriter.start(self.system, self.ledger, self.outbox)


@pytest.mark.req("L-02", "D-18")
def test_decisions_that_wait_together_are_one_transaction_in_their_order() -> None:
    world = World()
    world.tell(WRITER, submit("a"), submit("b"), submit("c"))
    world.tell(WRITER, submit("d"))
    assert [[decision.kind for decision in batch] for batch in world.ledger.batches] == [["a", "b", "c"], ["d"]]


def test_a_batch_is_bounded() -> None:
    world = World()
    world.tell(WRITER, *(submit(str(number)) for number in range(BATCH_MAX + 1)))
    assert [len(batch) for batch in world.ledger.batches] == [BATCH_MAX, 1]


def test_a_batch_is_bounded_also_where_one_actor_submits_many_at_once() -> None:
    world = World()
    four = Submit(decisions=tuple(submit(kind).decisions[0] for kind in "abcd"))
    world.tell(WRITER, *[four] * (BATCH_MAX // 2))
    assert [len(batch) for batch in world.ledger.batches] == [BATCH_MAX] * 2
    assert world.ledger.kinds == ["a", "b", "c", "d"] * (BATCH_MAX // 2)


@pytest.mark.req("L-01", "L-02")
def test_a_decision_is_committed_without_waiting_for_others() -> None:
    """At low load the delay for the sake of company is nought, where 5 ms would be allowed: no timer is set."""
    world = World()
    before_ms = world.runtime.clock.now_ms()
    world.tell(WRITER, submit("a"))
    assert (world.ledger.kinds, world.runtime.clock.now_ms()) == (["a"], before_ms)


@pytest.mark.req("L-02")
def test_the_writer_does_not_stand_back_before_its_batch_is_full() -> None:
    """Whoever stands back is let in when nobody else has work: no commit would come before the last fill is booked."""
    world = World()
    handled: list[int] = []
    world.runtime.breathe = lambda: handled.append(len(world.ledger.batches))  # type: ignore[method-assign]
    world.tell(WRITER, *(submit(str(number)) for number in range(BATCH_MAX - 1)))
    assert (len(world.ledger.batches), handled) == (1, [])


@pytest.mark.req("D-21")
def test_a_barrier_is_answered_once_all_that_was_submitted_before_it_is_durable() -> None:
    world = World()
    world.post.tell(WRITER, submit("a"))
    world.post.tell(WRITER, Barrier(then=((Address("asker"), "first"), (Address("asker"), "second"))))
    world.runtime.step()
    world.runtime.step()
    assert (world.ledger.kinds, world.asker.taken) == ([], [])
    world.runtime.run_until_idle()
    assert (world.ledger.kinds, world.asker.taken) == (["a"], ["first", "second"])


@pytest.mark.req("D-21")
def test_a_barrier_behind_nothing_is_answered_at_once_and_writes_nothing() -> None:
    world = World()
    world.tell(WRITER, Barrier(then=((Address("asker"), "passed"),)))
    assert (world.ledger.batches, world.asker.taken) == ([], ["passed"])


@pytest.mark.req("D-18", "D-21")
def test_after_a_failed_commit_no_barrier_is_answered() -> None:
    world = World()
    world.ledger.failing = True
    world.tell(WRITER, submit("a"), Barrier(then=((Address("asker"), "behind it"),)))
    world.ledger.failing = False
    world.tell(WRITER, Barrier(then=((Address("asker"), "later"),)))
    assert world.asker.taken == []


@pytest.mark.req("D-18")
def test_what_waits_for_durability_is_told_after_the_commit() -> None:
    world = World()
    said = alert("key")
    world.tell(WRITER, submit("a", said, then=((Address("asker"), "done"),)))
    assert world.asker.taken == ["done"]
    assert world.reporter.taken == [RowsDurable(rows=(said,))]


@pytest.mark.req("D-18")
def test_the_reporter_is_told_only_what_it_speaks_of() -> None:
    world = World()
    row = FillObservationRow(
        wallet="main", trade_id="t", order_id="o", status=TradeStatus.MATCHED, feed="poll", at_ms=1
    )
    world.tell(WRITER, submit("a", row))
    world.tell(WRITER, submit("b", row, alert("key")))
    assert (world.ledger.kinds, world.reporter.taken) == (["a", "b"], [RowsDurable(rows=(alert("key"),))])


@pytest.mark.req("D-18")
def test_a_failed_commit_escalates_and_nothing_follows_it() -> None:
    world = World()
    world.tell(WRITER, submit("a"))
    world.ledger.failing = True
    world.tell(WRITER, submit("b", alert("key"), then=((Address("asker"), "done"),)))
    world.ledger.failing = False
    world.tell(WRITER, submit("c", alert("other")))
    assert world.ledger.kinds == ["a"], "memory is ahead of the disk: a later decision must not follow"
    assert world.supervisor.taken == [StreamBroken(detail="a commit of 1 decisions failed: disk full")]
    assert (world.asker.taken, world.reporter.taken) == ([], [])


@pytest.mark.req("D-18", "L-02")
def test_stopping_commits_what_has_gathered() -> None:
    """The stop may overtake the flush that the writer told itself."""
    world = World()
    world.post.tell(WRITER, submit("a"))
    world.writer.tell(_stop_message())
    world.runtime.run_until_idle()
    assert world.ledger.kinds == ["a"]


def _stop_message() -> object:
    from pykka.messages import _ActorStop

    return _ActorStop()


@pytest.mark.req("D-18")
def test_a_ping_is_answered_when_all_before_it_is_durable() -> None:
    """Whoever pings the writer is about to read the journal, and must find everything there."""
    world = World()
    world.post.tell(WRITER, submit("a"))
    world.post.tell(WRITER, Ping())
    world.runtime.step()
    assert world.ledger.kinds == []
    world.runtime.step()
    assert world.ledger.kinds == ["a"]


def test_delivered_alerts_are_noted() -> None:
    world = World()
    world.tell(WRITER, Delivered(keys=("k1", "k2")))
    assert world.outbox.delivered == ["k1", "k2"]
