"""What people record by hand: answered when it is durable, refused with the reason, and replayed (L-26)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from actors import market as module
from messages.control import Command, MarkExternal, RecordTrade
from portfolio.events import EntryMarked, TradeRecorded
from portfolio.facts import Side
from portfolio.market import Step, transition
from tests.support.moves import move
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import MARKET, SHARE, running

RECORD = RecordTrade(
    request_id="r",
    market_id="0xa",
    token_id="0xa-yes",
    side=Side.BUY,
    size_micro=20 * SHARE,
    price_micro=250_000,
    operator="Ada",
    reason="bought in the app",
)


def inferred(build: Build) -> tuple[Harness, str]:
    """Twenty shares came without a trade, and were booked as such; the name of the entry."""
    harness = running(build())
    move(harness.venue, "0xa-yes", 20 * SHARE)
    harness.cycles(2)
    (entry,) = [row for row in harness.queries.adjustments() if row["cause"] == "TRANSFER_IN"]
    return harness, entry["entry_id"]


def mark(entry_id: str, price_micro: int | None = 250_000) -> MarkExternal:
    """Say of the entry that it was an external trade."""
    return MarkExternal(
        request_id="m",
        market_id="0xa",
        entry_id=entry_id,
        price_micro=price_micro,
        operator="Ada",
        reason="bought in the app",
    )


@pytest.mark.req("L-26", "X-12")
def test_a_trade_that_was_recorded_by_hand_is_booked_with_the_operators_name(build: Build) -> None:
    harness = running(build())
    ok, entry_id = harness.ask(RECORD, MARKET)
    assert ok
    (row,) = [row for row in harness.queries.adjustments() if row["entry_id"] == entry_id]
    assert (row["cause"], row["size_micro"], row["cost_micro"]) == ("EXTERNAL_BUY", 20 * SHARE, 5 * SHARE)
    assert (row["operator"], row["reason"], row["estimated"]) == ("Ada", "bought in the app", False)
    assert harness.shares() == {"0xa-yes": 120 * SHARE}
    move(harness.venue, "0xa-yes", 20 * SHARE)
    harness.venue.cash_micro -= 5 * SHARE
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert harness.shares() == {"0xa-yes": 120 * SHARE}


@pytest.mark.req("L-26", "D-12")
def test_a_record_of_what_was_inferred_takes_its_place(build: Build) -> None:
    harness, _ = inferred(build)
    before = {row["token_id"]: row["cost_basis_micro"] for row in harness.queries.positions()}
    assert harness.ask(RECORD, MARKET)[0]
    assert harness.shares() == {"0xa-yes": 120 * SHARE}
    after = {row["token_id"]: row["cost_basis_micro"] for row in harness.queries.positions()}
    assert before["0xa-yes"] - after["0xa-yes"] == 10 * SHARE - 5 * SHARE, "came at the mark, was bought for less"


@pytest.mark.req("L-26", "X-12")
@pytest.mark.parametrize(("price", "cost"), [(250_000, 55 * SHARE), (None, 60 * SHARE)])
def test_an_inferred_change_that_is_marked_as_external_gets_its_price(
    build: Build, price: int | None, cost: int
) -> None:
    harness, entry_id = inferred(build)
    assert harness.ask(mark(entry_id, price), MARKET) == (True, f"{entry_id}:external")
    (row,) = [row for row in harness.queries.adjustments() if row["entry_id"] == f"{entry_id}:external"]
    assert (row["cause"], row["operator"], row["size_micro"]) == ("EXTERNAL_BUY", "Ada", 20 * SHARE)
    (held,) = harness.queries.positions()
    assert (held["shares_micro"], held["cost_basis_micro"]) == (120 * SHARE, cost)


@pytest.mark.req("L-26", "D-18")
@pytest.mark.parametrize("command", ["record", "mark"])
def test_it_is_answered_when_it_is_durable_and_not_before(build: Build, command: str) -> None:
    harness, entry_id = inferred(build)
    before = len(harness.queries.adjustments())
    asked: Command = RECORD if command == "record" else mark(entry_id)
    harness.post.tell(MARKET, asked)
    while not harness.answers.given:
        assert harness.runtime.step()
    assert len(harness.queries.adjustments()) > before, "the caller may read what it was told"
    assert harness.journal()[-1].kind == ("trade_recorded" if command == "record" else "entry_marked")


@pytest.mark.req("L-26")
@pytest.mark.parametrize(
    ("changed", "because"),
    [
        ({"token_id": "0xb-yes"}, "token 0xb-yes is not one of market 0xa"),
        ({"size_micro": 0}, "size must be above 0, and price between 0 and 1, both excluded"),
        ({"price_micro": 1_000_000}, "size must be above 0, and price between 0 and 1, both excluded"),
    ],
)
def test_a_record_that_cannot_be_is_refused_with_the_reason(
    build: Build, changed: dict[str, Any], because: str
) -> None:
    harness = running(build())
    before = len(harness.journal())
    assert harness.ask(replace(RECORD, **changed), MARKET) == (False, because)
    assert len(harness.journal()) == before


@pytest.mark.req("L-26")
def test_an_entry_that_cannot_be_marked_is_refused_with_the_reason(build: Build) -> None:
    harness, entry_id = inferred(build)
    absent = "there is no standing adjustment nothing in market 0xa"
    assert harness.ask(mark("nothing"), MARKET) == (False, absent)
    assert harness.ask(mark(entry_id, 0), MARKET) == (False, "the price must lie between 0 and 1, both excluded")
    (opening,) = [row["entry_id"] for row in harness.queries.adjustments() if row["cause"] == "OPENING"]
    assert "is no inferred change of one token" in harness.ask(mark(opening), MARKET)[1]
    assert harness.ask(mark(entry_id), MARKET)[0]
    assert harness.ask(mark(entry_id), MARKET) == (False, f"there is no standing adjustment {entry_id} in market 0xa")


@pytest.mark.req("D-18", "L-26")
@pytest.mark.parametrize("command", ["record", "mark"])
def test_what_the_disk_refused_is_never_confirmed(build: Build, command: str) -> None:
    harness, entry_id = inferred(build)
    asked: Command = RECORD if command == "record" else mark(entry_id)
    harness.lose_disk()
    harness.post.tell(MARKET, asked)
    harness.runtime.run_until_idle()
    assert harness.answers.given == {}
    assert "a commit of 1 decisions failed" in harness.escalated[0]
    harness.restart()
    assert len(harness.queries.adjustments()) == 2, "the opening, and what was inferred"


@pytest.mark.req("D-19", "L-26")
@pytest.mark.parametrize(("kind", "name"), [(TradeRecorded, "trade_recorded"), (EntryMarked, "entry_marked")])
def test_a_command_that_the_market_cannot_digest_is_refused_and_halts_it(
    build: Build, monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> None:
    """The operator is not told that it was done: nothing of it is in the books."""

    def failing(state: Any, event: Any, now_ms: int) -> Step:
        if isinstance(event, kind):
            raise ZeroDivisionError("planted")
        return transition(state, event, now_ms)

    monkeypatch.setattr(module, "transition", failing)
    harness, entry_id = inferred(build)
    asked: Command = RECORD if kind is TradeRecorded else mark(entry_id)
    assert harness.ask(asked, MARKET) == (False, "ZeroDivisionError: planted")
    assert harness.queries.markets()[0]["halted"]
    assert harness.shares() == {"0xa-yes": 120 * SHARE}
    assert harness.sink.alerts[-1].text.startswith(f"{name} could not be processed")
    assert len(harness.queries.adjustments()) == 2
