"""A fill that is matched, and one that settles, between any two reads of a cycle: never a drift (L-16, D-09, X-02).

Every placement over the reads of two cycles is tried, one after the other on one running system: the match before one
read, the settlement before the same or any later one. With the chain's logs and without them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from messages.reads import Read, ReadLogs
from portfolio.chain import ChainTransaction, CollateralTransfer, OrderFilled, TokenTransfer
from portfolio.facts import FailureKind, Side, TradeStatus
from portfolio.labelling_book import TokenBook
from portfolio.units import mul_price
from tests.support.moves import Deal, becomes, move, settle, trade
from tests.support.system import Build, Harness
from tests.support.venue import CONTRACT, FUNDER, Reply

SHARE = 1_000_000
TOKEN = "0xa-yes"
EXCHANGE, PUSD, ALICE = "0xe1", "0xc4", "0xb1"
WALLET = FUNDER.lower()
BOOK = TokenBook(exchanges=frozenset({EXCHANGE}), protocol=frozenset({CONTRACT, PUSD}))
SETTLING_CYCLES = 3


class Between:
    """Lets things happen before the n-th read from now on."""

    def __init__(self, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        self._request = harness.venue.request
        self._then: dict[int, list[Callable[[], None]]] = {}
        self.reads = 0
        monkeypatch.setattr(harness.venue, "request", self._counted)

    def begin(self, *moments: tuple[int, Callable[[], None]]) -> None:
        """Count anew; each moment comes before the read of its number."""
        self.reads, self._then = 0, {}
        for number, happens in moments:
            self._then.setdefault(number, []).append(happens)

    def rest(self) -> None:
        """What no read came for happens now."""
        for number in sorted(self._then):
            for happens in self._then[number]:
                happens()
        self._then = {}

    def _counted(self, read: Read, reply: Reply, correlation: str) -> None:
        for happens in self._then.pop(self.reads, ()):
            happens()
        self.reads += 1
        self._request(read, reply, correlation)


class Fill:
    """One own fill as taker: first its match, then its settlement in the next block."""

    def __init__(self, harness: Harness, name: str, side: Side) -> None:
        self._harness, self._name = harness, name
        self._deal = Deal(
            token_id=TOKEN,
            size=3 * SHARE,
            price=400_000,
            side=side,
            status=TradeStatus.MATCHED,
            order_id=f"order-{name}",
            settled=False,
        )

    def match(self) -> None:
        """The exchange shows the trade."""
        trade(self._harness.venue, self._name, self._deal)

    def settle(self) -> None:
        """The chain shows it: balances, logs, and the exchange calls it confirmed."""
        venue = self._harness.venue
        settle(venue, self._deal)
        venue.transactions.append(self._transaction())
        becomes(venue, self._name, TradeStatus.CONFIRMED)

    def _transaction(self) -> ChainTransaction:
        deal = self._deal
        cash, buys = mul_price(deal.size, deal.price), deal.side is Side.BUY
        giver, taker = (ALICE, WALLET) if buys else (WALLET, ALICE)
        filled: dict[str, Any] = {"order_id": deal.order_id, "maker": WALLET, "taker": EXCHANGE, "side": deal.side}
        amounts = (cash, deal.size) if buys else (deal.size, cash)
        return ChainTransaction(
            transaction_hash=f"0xhash-of-{self._name}",
            block_number=self._harness.venue.block_number + 1,
            block_hash="0xb",
            block_time_ms=self._harness.clock.now_ms(),
            logs=(
                TokenTransfer(
                    log_index=1,
                    contract=CONTRACT,
                    operator=EXCHANGE,
                    sender=giver,
                    receiver=taker,
                    token_id=TOKEN,
                    shares_micro=deal.size,
                ),
                CollateralTransfer(
                    log_index=2, contract=PUSD, bucket="pusd", sender=taker, receiver=giver, amount_micro=cash
                ),
                OrderFilled(
                    log_index=3,
                    contract=EXCHANGE,
                    token_id=TOKEN,
                    maker_amount_micro=amounts[0],
                    taker_amount_micro=amounts[1],
                    fee_micro=0,
                    **filled,
                ),
            ),
            complete=False,
        )


def drifts(harness: Harness) -> list[tuple[str, str]]:
    """Every sign that a difference was taken for more than lag."""
    issues = [(row["type"], row["cause"]) for row in harness.queries.issues()]
    causes = [("adjustment", row["cause"]) for row in harness.queries.adjustments() if row["cause"] != "OPENING"]
    return issues + causes


@pytest.mark.req("L-16", "X-02", "D-09", "R-05", "D-11")
@pytest.mark.parametrize("logs", ["shown", "refused"])
def test_wherever_between_the_reads_a_fill_is_matched_and_settles_there_is_no_drift(
    build: Build, monkeypatch: pytest.MonkeyPatch, logs: str
) -> None:
    harness = build(book=BOOK)
    harness.venue.add_market("0xa")
    move(harness.venue, TOKEN, 1_000 * SHARE)
    harness.start()
    if logs == "refused":
        harness.venue.failing[ReadLogs] = FailureKind.REFUSED
    between = Between(harness, monkeypatch)
    harness.cycle()
    slots = between.reads + 1
    assert slots > len({"balances", "positions", "orders", "logs", "trades"})
    for matched, settled in itertools.combinations_with_replacement(range(2 * slots), 2):
        name = f"{matched}-{settled}"
        fill = Fill(harness, name, Side.BUY if (matched + settled) % 2 else Side.SELL)
        between.begin((matched, fill.match), (settled, fill.settle))
        harness.cycle()
        harness.cycle()
        between.rest()
        report = [harness.cycle() for _ in range(SETTLING_CYCLES)][-1]
        assert drifts(harness) == [], f"matched before read {matched}, settled before read {settled}"
        assert (report.delta_count, report.pending_count, report.cash_unexplained_micro) == (0, 0, 0), name
        (held,) = (row for row in harness.queries.positions() if row["token_id"] == TOKEN)
        assert (held["shares_micro"], held["settled_micro"]) == (harness.venue.balances[TOKEN],) * 2, name
    proofs = {row["trade_id"]: row["settled_by"] for row in harness.queries.fills()}
    by_log = {
        name for name, proof in proofs.items() if proof.startswith(f"transaction 0xhash-of-{name}, log 3, block ")
    }
    assert by_log == (set(proofs) if logs == "shown" else set()), (
        "each fill is settled by its own log, where there are logs"
    )
    harness.assert_replays()
