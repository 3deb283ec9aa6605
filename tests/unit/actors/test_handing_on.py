"""Fills on their way to the markets: in the whole system, with a backlog, a flood, and markets that are not there."""

from __future__ import annotations

import pytest

from actors import ingest, outflow
from actors.readings import STALLED_MS
from actors.supervisor import RESTARTS_MAX
from messages.addresses import Address
from messages.control import Backfill
from tests.support.moves import Deal, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import (
    INGEST,
    MARKET,
    SHARE,
    Poison,
    cursor_s,
    following,
    now_s,
    running,
    seen_first,
    show,
    states,
)

DEAL = Deal(token_id="0xa-yes", size=SHARE, price=500_000)
OTHER = Deal(token_id="0xb-yes", size=SHARE, price=500_000)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks, so that few fills are many of them."""
    monkeypatch.setattr(outflow, "CHUNK", 4)
    monkeypatch.setattr(outflow, "WINDOW", 2)


@pytest.mark.req("D-21", "D-18", "L-01")
@pytest.mark.usefixtures("small")
def test_a_backlog_waits_in_the_ingest_and_the_cursor_for_its_last_fill(build: Build) -> None:
    harness = running(build(), "0xa", "0xb")
    for number in range(50):
        trade(harness.venue, f"trade-{number}", (DEAL, OTHER)[number % 2])
    at_s = now_s(harness)
    harness.stream.subscribe()
    most = 0
    while harness.runtime.step():
        waiting = len(harness.actor(MARKET).actor_inbox.mail)
        most = max(most, waiting)
        if cursor_s(harness):
            assert len(states(harness)) == 50, "the cursor may not be there before the fills"
    assert most <= 2 * 4 + 2, "messages and markers of two chunks"
    assert (len(states(harness)), cursor_s(harness)) == (50, at_s)
    assert set(seen_first(harness).values()) == {"backfill"}


@pytest.mark.req("S-02", "D-21", "R-05")
@pytest.mark.usefixtures("small")
def test_a_cycle_compares_when_all_that_its_poll_showed_is_handed_on(build: Build) -> None:
    """More fills than may be on their way at once: the balance has them all, and so has the book by then."""
    harness = running(build())
    for number in range(50):
        trade(harness.venue, f"trade-{number}", DEAL)
    report = harness.cycle()
    assert (report.pending_count, report.delta_count) == (0, 0)
    assert len(states(harness)) == 50
    assert harness.shares() == {"0xa-yes": 150 * SHARE}


def drop_mail(harness: Harness, address: Address) -> None:
    """An actor's mail is gone, and nobody is told."""
    harness.actor(address).actor_inbox.mail.clear()
    harness.runtime._ready = [inbox for inbox in harness.runtime._ready if inbox.mail]


@pytest.mark.req("D-21", "L-01", "L-30")
def test_a_marker_that_never_comes_stalls_nothing_and_the_next_cycle_repairs(build: Build) -> None:
    harness = following(build(), "0xa", "0xb")
    harness.stream.show(trade(harness.venue, "trade-1", DEAL), trade(harness.venue, "trade-2", OTHER))
    harness.post.tell(INGEST, Backfill(request_id="b", since_s=0))
    while not harness.actor(MARKET).actor_inbox.mail:
        assert harness.runtime.step()
    while harness.actor(INGEST)._outflow.open_chunks() == ():
        drop_mail(harness, MARKET)
        assert harness.runtime.step()
    drop_mail(harness, MARKET)
    harness.runtime.run_until_idle()
    assert set(states(harness)) == {"trade-2"}
    assert (cursor_s(harness), harness.answers.given) == (0, {})
    harness.runtime.run_for(STALLED_MS)
    assert harness.metrics.counts["handing_on_stalled"] == 1
    assert not harness.answers.given["b"][0]
    assert "ask again" in harness.answers.given["b"][1]
    harness.runtime.run_for(INTERVAL_MS)
    assert set(states(harness)) == {"trade-1", "trade-2"}
    assert cursor_s(harness) > 0
    assert harness.metrics.counts["handing_on_stalled"] == 1


@pytest.mark.req("D-21", "L-01", "L-12")
def test_a_market_that_loses_a_fill_of_the_stream_with_its_mailbox_gets_it_again(build: Build) -> None:
    harness = following(build())
    harness.crashes_expected = True
    harness.post.tell(MARKET, Poison())
    show(harness, trade(harness.venue, "trade-1", DEAL))
    assert states(harness) == {}
    harness.cycle()
    assert states(harness) == {"trade-1": "SETTLED"}
    assert {row["cause"] for row in harness.queries.adjustments()} == {"OPENING"}


@pytest.mark.req("D-21", "L-12", "L-17")
@pytest.mark.parametrize("when", ["before", "while it waits there"])
def test_the_cursor_does_not_pass_what_a_quarantined_market_was_not_told(build: Build, when: str) -> None:
    """Nothing stalls, the others go on; the next life of the process books what the market missed."""
    harness = following(build(), "0xa", "0xb")
    harness.crashes_expected = True
    crashes = RESTARTS_MAX + 1
    if when == "before":
        quarantine(harness, crashes)
    else:
        quarantine(harness, crashes - 1)
        harness.post.tell(MARKET, Poison())
    show(harness, trade(harness.venue, "lost", DEAL))
    assert harness.board.quarantined == ("0xa",)
    at_s = now_s(harness)
    cycles = len(harness.metrics.reports)
    harness.runtime.run_for(INTERVAL_MS)
    for number in range(3):
        show(harness, trade(harness.venue, f"other-{number}", OTHER))
        harness.runtime.run_for(INTERVAL_MS)
    assert set(states(harness)) == {"other-0", "other-1", "other-2"}
    assert cursor_s(harness) <= at_s
    assert len(harness.metrics.reports) - cycles <= 10, "what cannot be told is no news, each time anew"
    assert harness.metrics.counts["handing_on_stalled"] == 0
    assert harness.metrics.counts["stream_missed_fill"] == 0
    ok, detail = harness.ask(Backfill(request_id="b", since_s=0), INGEST)
    assert not ok
    assert "a market is down" in detail

    harness.restart()
    harness.runtime.run_for(10 * INTERVAL_MS)
    assert states(harness)["lost"] == "SETTLED"
    assert cursor_s(harness) > at_s
    assert {row["cause"] for row in harness.queries.adjustments()} == {"OPENING"}


def quarantine(harness: Harness, crashes: int) -> None:
    """So many crashes of a market, one after the other."""
    for _ in range(crashes):
        harness.post.tell(MARKET, Poison())
        harness.runtime.run_until_idle()


@pytest.mark.req("L-30", "L-01")
@pytest.mark.usefixtures("small")
def test_a_flood_begins_the_stream_again_and_loses_nothing_in_the_end(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "FLOOD_MAX", 20)
    harness = following(build())
    made = [trade(harness.venue, f"trade-{number}", DEAL) for number in range(200)]
    for number in range(0, 200, 10):
        harness.stream.show(*made[number : number + 10])
    most = 0
    while harness.runtime.step():
        most = max(most, harness.actor(INGEST)._outflow.waiting)
        if harness.stream.reconnects:
            break
    assert most <= 20 + 10, "what waits stays bounded"
    assert "than can be made durable" in harness.stream.reconnects[0]
    assert len(states(harness)) < 200
    harness.runtime.run_until_idle()
    assert len(states(harness)) == 200
    assert harness.metrics.counts["stream_begun_again"] == len(harness.stream.reconnects)
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert harness.shares() == {"0xa-yes": 300 * SHARE}
    assert harness.board.stream["main"].connected
    assert harness.metrics.counts["stream_missed_fill"] == 0


@pytest.mark.req("D-18", "D-21")
def test_nothing_is_called_durable_while_the_disk_refuses(build: Build) -> None:
    harness = following(build())
    harness.lose_disk()
    harness.stream.show(trade(harness.venue, "trade-1", DEAL))
    harness.post.tell(INGEST, Backfill(request_id="b", since_s=0))
    harness.runtime.run_until_idle()
    assert "a commit of 1 decisions failed" in harness.escalated[0]
    assert harness.answers.given == {}
    harness.stop()
    harness.start(run=False)
    assert (cursor_s(harness), states(harness)) == (0, {})
    harness.runtime.run_until_idle()
    assert states(harness) == {"trade-1": "SETTLED"}
