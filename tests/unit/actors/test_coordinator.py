"""The coordinator: one cycle at a time, who must answer by when, and which answers are believed."""

from __future__ import annotations

import itertools

import pytest

from actors.coordinator import EXTRA_CYCLE_MS
from actors.ingest import FillIngestActor
from messages.cycle import ImageTaken, PausesKnown, PollDone, ViewApplied
from messages.reads import Read, ReadBalances, ReadMarkets, ReadOpenOrders, ReadOrder, ReadPositions, ReadTrades
from portfolio.facts import FailureKind
from portfolio.outcomes import CycleStatus
from tests.support.moves import Deal, move, trade
from tests.support.system import INTERVAL_MS, Build
from tests.support.venue import Reply
from tests.unit.actors.worlds import COORDINATOR, SHARE, cursor, following, running, show, want


@pytest.mark.req("S-01")
def test_cycles_follow_each_other_at_the_interval(build: Build) -> None:
    harness = running(build())
    harness.runtime.run_for(10 * INTERVAL_MS)
    starts = [report.synced_at_ms for report in harness.metrics.reports]
    assert len(starts) == 11
    assert {later - earlier for earlier, later in itertools.pairwise(starts)} == {INTERVAL_MS}


@pytest.mark.req("S-01")
def test_requests_during_a_cycle_are_joined_to_one_next_cycle(build: Build) -> None:
    """Three callers ask while a cycle waits: it is not run twice at a time, and one more serves all three."""
    harness = running(build())
    harness.venue.held.add(ReadOpenOrders)
    want(harness, "first")
    asked = harness.venue.count(ReadOpenOrders)
    want(harness, "second", "third", "fourth")
    assert harness.venue.count(ReadOpenOrders) == asked, "nothing runs beside it"
    assert harness.answers.given == {}
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert harness.venue.count(ReadOpenOrders) == asked + 1
    answers = {request_id: detail for request_id, (_, detail, _) in harness.answers.given.items()}
    assert answers["second"] == answers["third"] == answers["fourth"] != answers["first"]
    assert answers["first"] == harness.metrics.reports[-2].cycle_id


@pytest.mark.req("S-01")
def test_a_cycle_on_demand_moves_the_next_interval(build: Build) -> None:
    """The interval counts from the last cycle; no second timer runs beside it."""
    harness = running(build())
    harness.runtime.run_for(INTERVAL_MS // 2)
    want(harness, "now")
    harness.runtime.run_for(2 * INTERVAL_MS)
    starts = [report.synced_at_ms - harness.metrics.reports[0].synced_at_ms for report in harness.metrics.reports]
    assert starts == [0, INTERVAL_MS // 2, 3 * INTERVAL_MS // 2, 5 * INTERVAL_MS // 2]


@pytest.mark.req("S-11", "D-11")
def test_the_deadline_closes_a_cycle_that_nobody_answers_and_names_what_it_waited_for(build: Build) -> None:
    harness = running(build())
    harness.venue.held.add(ReadOpenOrders)
    want(harness, "")
    harness.runtime.run_for(INTERVAL_MS)
    report = harness.metrics.reports[-1]
    assert report.status is CycleStatus.STALE
    assert "deadline passed at stage witnesses: orders" in report.reasons[0]
    harness.venue.held.clear()
    harness.runtime.run_for(INTERVAL_MS)
    assert harness.metrics.reports[-1].status is CycleStatus.OK


@pytest.mark.req("S-01", "D-11")
def test_a_late_answer_is_dropped_by_its_correlation(build: Build) -> None:
    """The list asked for by a cycle that is over says nothing to the one that runs now."""
    harness = running(build())
    harness.venue.held.add(ReadOpenOrders)
    want(harness, "")
    late = harness.venue.waiting.pop()
    harness.runtime.run_for(INTERVAL_MS)
    reports = len(harness.metrics.reports)
    assert len(harness.venue.waiting) == 1, "the next cycle waits for its own answer"
    harness.venue.hide_orders = bool
    late()
    harness.runtime.run_until_idle()
    assert len(harness.metrics.reports) == reports
    harness.venue.hide_orders = None
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert harness.metrics.reports[-1].status is CycleStatus.OK
    assert [row["order_id"] for row in harness.queries.orders()] == ["order-1"]


@pytest.mark.req("S-13", "R-27")
@pytest.mark.parametrize(("age_ms", "status"), [(30_000, CycleStatus.OK), (30_001, CycleStatus.STALE)])
def test_a_chain_whose_head_is_older_than_the_interval_skips_the_cycle(
    build: Build, age_ms: int, status: CycleStatus
) -> None:
    harness = running(build())
    move(harness.venue, "0xa-yes", 50 * SHARE)
    harness.cycle()
    harness.venue.block_age_ms = age_ms
    report = harness.cycle()
    assert report.status is status
    assert harness.shares()["0xa-yes"] == (150 if status is CycleStatus.OK else 100) * SHARE
    assert ("STALE_DATA" in harness.sink.codes()) is (status is CycleStatus.STALE)


@pytest.mark.req("R-01")
def test_without_the_data_api_positions_come_from_the_chain(build: Build) -> None:
    harness = running(build())
    harness.venue.failing[ReadPositions] = FailureKind.UNREACHABLE
    move(harness.venue, "0xa-yes", 50 * SHARE)
    first, second = harness.cycles(2)
    assert first.status is second.status is CycleStatus.DATA_API_UNAVAILABLE
    assert (second.delta_count, second.onchain_reconciled) == (1, True)
    assert harness.shares() == {"0xa-yes": 150 * SHARE}
    assert set(harness.sink.codes()) >= {"PORTFOLIO_SYNC_DATA_API_UNAVAILABLE"}
    assert harness.may_trade().allowed


@pytest.mark.req("R-01")
def test_without_chain_and_data_api_the_cycle_is_skipped(build: Build) -> None:
    harness = running(build())
    harness.venue.failing = {ReadPositions: FailureKind.UNREACHABLE, ReadBalances: FailureKind.UNREACHABLE}
    harness.venue.add_order("order-2", "0xa-no", size=SHARE, price=300_000)
    report = harness.cycle()
    assert (report.status, report.delta_count) == (CycleStatus.RPC_UNAVAILABLE, 0)
    assert [row["order_id"] for row in harness.queries.orders()] == ["order-1"]
    assert "the chain cannot be read and there is no stand-in" in harness.may_trade().reasons


@pytest.mark.req("X-09", "S-11", "D-11")
@pytest.mark.parametrize(
    ("read", "status"),
    [
        (ReadOpenOrders, CycleStatus.CLOB_UNAVAILABLE),
        (ReadTrades, CycleStatus.CLOB_UNAVAILABLE),
        (ReadBalances, CycleStatus.RPC_UNAVAILABLE),
        (ReadPositions, CycleStatus.DATA_API_UNAVAILABLE),
        (ReadMarkets, CycleStatus.OK),
    ],
)
def test_a_partial_answer_is_unknown_and_never_empty(build: Build, read: type, status: CycleStatus) -> None:
    """Pages that moved or rows that were rejected: the reading says PARTIAL, and what it lacks proves nothing."""
    harness = running(build())
    harness.venue.partial.add(read)
    for report in harness.cycles(3):
        assert (report.status, report.delta_count) == (status, 0)
    assert harness.shares() == {"0xa-yes": 100 * SHARE}
    assert [row["order_id"] for row in harness.queries.orders()] == ["order-1"]


@pytest.mark.req("L-01", "D-21")
def test_trades_of_a_condition_without_metadata_wait_and_the_cursor_does_not_pass_them(build: Build) -> None:
    harness = running(build())
    trade(harness.venue, "trade-0", Deal(token_id="0xa-yes", size=SHARE, price=500_000, age_ms=300_000))
    harness.cycle()
    before = cursor(harness)
    trade(harness.venue, "trade-1", Deal(token_id="0xnew-yes", size=SHARE, price=500_000, age_ms=120_000))
    trade(harness.venue, "trade-2", Deal(token_id="0xa-yes", size=SHARE, price=500_000))
    for report in harness.cycles(3):
        assert "no metadata yet for conditions 0xnew: their trades wait" in report.reasons
    assert sorted(row["trade_id"] for row in harness.queries.fills()) == ["trade-0", "trade-2"]
    assert before <= cursor(harness) <= str(harness.clock.now_ms() // 1000 - 120)
    harness.venue.add_market("0xnew")
    harness.cycle()
    assert sorted(row["trade_id"] for row in harness.queries.fills()) == ["trade-0", "trade-1", "trade-2"]
    assert harness.cycle().delta_count == 0
    assert cursor(harness) > str(harness.clock.now_ms() // 1000 - 60)


@pytest.mark.req("D-09", "S-02")
def test_tokens_first_seen_in_a_cycle_are_read_at_the_same_block(build: Build) -> None:
    harness = running(build())
    harness.venue.add_market("0xnew")
    harness.venue.add_order("order-new", "0xnew-no", size=SHARE, price=300_000)
    harness.venue.asked.clear()
    harness.cycle()
    first, second = [read for read in harness.venue.asked if isinstance(read, ReadBalances)]
    assert first.block_number is None
    assert second.block_number == harness.venue.block_number
    assert {ref.token_id for ref in second.tokens} == {"0xnew-yes", "0xnew-no"}
    assert {ref.token_id for ref in first.tokens} == {"0xa-yes", "0xa-no"}


@pytest.mark.req("R-01", "S-12", "D-11")
@pytest.mark.parametrize(("apply_without_rpc", "deltas"), [(False, 0), (True, 1)])
def test_a_chain_that_fails_at_the_second_balances_is_a_chain_that_failed(
    build: Build, apply_without_rpc: bool, deltas: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy decides as it does when the chain is down from the start: skip changes nothing, apply takes orders."""
    harness = running(build(apply_without_rpc=apply_without_rpc))
    harness.venue.add_market("0xnew")
    harness.venue.add_order("order-new", "0xnew-no", size=SHARE, price=300_000)
    answer = harness.venue.request

    def request(read: Read, reply: Reply, correlation: str) -> None:
        pinned = isinstance(read, ReadBalances) and read.block_number is not None
        if pinned:
            harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
        answer(read, reply, correlation)

    monkeypatch.setattr(harness.venue, "request", request)
    report = harness.cycle()
    assert report.status is CycleStatus.RPC_UNAVAILABLE
    assert not report.onchain_reconciled
    assert report.delta_count == deltas
    assert ("order-new" in {row["order_id"] for row in harness.queries.orders()}) is apply_without_rpc


@pytest.mark.req("S-02")
def test_metadata_is_cached_and_never_asked_for_per_market_and_cycle(build: Build) -> None:
    """Once when first seen, once as a refresh, then hourly; all conditions in one read."""
    harness = running(build(), "0xa", "0xb", "0xc")
    harness.runtime.run_for(100 * INTERVAL_MS)
    assert harness.venue.count(ReadMarkets) == 2
    harness.runtime.run_for(40 * INTERVAL_MS)
    assert harness.venue.count(ReadMarkets) == 3
    (last,) = [read for read in harness.venue.asked if isinstance(read, ReadMarkets)][-1:]
    assert last.condition_ids == ("0xa", "0xb", "0xc")


@pytest.mark.req("R-34", "S-01")
def test_a_fill_brings_an_extra_cycle_within_a_second_and_not_more_than_one(build: Build) -> None:
    harness = running(build())
    trade(harness.venue, "trade-1", Deal(token_id="0xa-yes", size=SHARE, price=500_000))
    trade(harness.venue, "trade-2", Deal(token_id="0xa-yes", size=SHARE, price=500_000))
    harness.runtime.run_for(INTERVAL_MS)
    count = len(harness.metrics.reports)
    harness.runtime.run_for(1_000)
    assert len(harness.metrics.reports) == count + 1
    harness.runtime.run_for(INTERVAL_MS - 2_000)
    assert len(harness.metrics.reports) == count + 1


@pytest.mark.req("S-14", "R-14")
def test_the_gate_is_shut_until_the_first_cycle_completes(build: Build) -> None:
    harness = build()
    harness.venue.failing[ReadOpenOrders] = FailureKind.UNREACHABLE
    running(harness)
    assert "the first full cycle is not complete" in harness.may_trade().reasons
    assert harness.shares() == {}
    harness.venue.failing.clear()
    harness.cycle()
    assert harness.may_trade().allowed
    harness.clock.advance_to(harness.clock.now_ms() + 2 * INTERVAL_MS + 1)
    assert harness.may_trade().reasons == (f"no cycle completed within {2 * INTERVAL_MS} ms",)


@pytest.mark.req("R-34", "S-01")
def test_a_forced_cycle_serves_the_fills_that_an_extra_one_was_due_for(build: Build) -> None:
    harness = following(build())
    show(harness, trade(harness.venue, "trade-1", Deal(token_id="0xa-yes", size=SHARE, price=500_000)))
    harness.runtime.run_for(EXTRA_CYCLE_MS // 2)
    want(harness, "now")
    count = len(harness.metrics.reports)
    harness.runtime.run_for(INTERVAL_MS - 1)
    assert len(harness.metrics.reports) == count
    harness.runtime.run_for(1)
    assert len(harness.metrics.reports) == count + 1


@pytest.mark.req("R-23", "S-14")
def test_the_ingest_hears_once_that_the_wallet_is_open(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(FillIngestActor, "_catch_up", lambda ingest: told.append(ingest.system.clock.now_ms()))
    harness = build()
    harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
    running(harness)
    assert told == [], "without the chain nothing is opened"
    harness.venue.failing.clear()
    harness.cycles(3)
    assert len(told) == 1
    harness.restart()
    harness.cycle()
    assert len(told) == 1


@pytest.mark.req("S-02", "D-01", "D-11")
def test_metadata_that_others_asked_for_is_no_part_of_the_cycle_that_runs(build: Build) -> None:
    """The source of metadata is slow; the cycle does not wait for what only the stream wants to know."""
    harness = following(build())
    harness.venue.add_market("0xnew")
    harness.venue.held.add(ReadMarkets)
    show(harness, trade(harness.venue, "trade-1", Deal(token_id="0xnew-yes", size=SHARE, price=500_000)))
    harness.venue.hide_positions = "0xnew-yes".__eq__
    harness.venue.hide_trades = "trade-1".__eq__
    harness.runtime.run_for(INTERVAL_MS)
    assert harness.metrics.reports[-1].status is CycleStatus.OK
    assert harness.queries.fills() == []
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert [row["trade_id"] for row in harness.queries.fills()] == ["trade-1"]


@pytest.mark.req("D-11", "S-01")
def test_what_belongs_to_another_cycle_is_dropped(build: Build) -> None:
    harness = running(build())
    image = harness.board.sync["main"].images[0]
    harness.venue.held.add(ReadOpenOrders)
    want(harness, "")
    asked = len(harness.venue.asked)
    late = (
        PollDone(cycle_id="main-1", certificate=None, detail="late", new_legs=9),
        ImageTaken(cycle_id="main-1", image=image),
        ViewApplied(cycle_id="main-1", result=None, image=image),
        PausesKnown(cycle_id="main-1", paused=("default",)),
    )
    for message in late:
        harness.post.tell(COORDINATOR, message)
    harness.runtime.run_until_idle()
    assert len(harness.venue.asked) == asked
    harness.venue.release()
    harness.runtime.run_until_idle()
    report = harness.metrics.reports[-1]
    assert (report.status, report.reasons, report.paused_strategies) == (CycleStatus.OK, (), ())


@pytest.mark.req("L-06", "L-08")
def test_an_order_that_left_the_list_and_lives_proves_that_the_list_was_short(build: Build) -> None:
    harness = running(build())
    harness.venue.hide_orders = "order-1".__eq__
    report = harness.cycle()
    assert (report.status, report.delta_count) == (CycleStatus.CLOB_UNAVAILABLE, 0)
    assert "lacked order-1, which is live" in report.reasons[0]


@pytest.mark.req("L-08", "X-09", "D-14")
def test_a_list_that_shrank_by_much_is_read_once_more_before_any_order_is_looked_up(build: Build) -> None:
    harness = running(build())
    for number in range(2, 21):
        harness.venue.add_order(f"order-{number}", "0xa-no", size=SHARE, price=300_000)
    harness.cycle()
    harness.venue.asked.clear()
    harness.venue.hide_orders = lambda name: name != "order-1"
    harness.cycle()
    kinds = [type(read) for read in harness.venue.asked if isinstance(read, ReadOpenOrders | ReadOrder)]
    assert kinds == [ReadOpenOrders] * 2 + [ReadOrder] * 19
    assert len(harness.queries.orders()) == 20


@pytest.mark.req("R-06", "D-09")
def test_a_neg_risk_market_is_told_the_number_of_questions_that_the_chain_has(build: Build) -> None:
    harness = build()
    for index in range(2):
        harness.venue.add_market(f"0xe-{index}", neg_risk_id="0xe", index=index)
        move(harness.venue, f"0xe-{index}-yes", SHARE)
    harness.venue.question_counts["0xe"] = 4
    harness.start()
    harness.cycle()
    (image,) = harness.board.sync["main"].images
    assert image.question_count == 4
    before = len(harness.journal())
    harness.cycle()
    assert [entry.kind for entry in harness.journal()[before:]] == ["cycle_closed"], "it is told once"


@pytest.mark.req("R-01", "L-16")
def test_a_stand_in_that_is_behind_what_the_chain_showed_before_is_history(build: Build) -> None:
    harness = running(build())
    harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
    harness.venue.data_blocks_behind = 1
    move(harness.venue, "0xa-yes", 50 * SHARE)
    report = harness.cycle()
    assert (report.status, report.delta_count) == (CycleStatus.RPC_UNAVAILABLE, 0)
    assert "the books were compared with the chain at block" in " ".join(report.reasons)


@pytest.mark.req("S-12", "R-18")
def test_a_source_that_is_configured_wrongly_is_named_in_the_report(build: Build) -> None:
    harness = running(build())
    harness.venue.failing[ReadBalances] = FailureKind.WRONG_CHAIN
    report = harness.cycle()
    assert report.status is CycleStatus.RPC_UNAVAILABLE
    assert report.reasons[0].startswith("chain.balances: wrong_chain")
