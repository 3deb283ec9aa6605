"""One operation before the service: it happens and is dropped, happens again and is moved, and at last all is at rest.

Between two steps a test may kill the watcher, or the whole process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field

import msgspec

from portfolio.chain import ChangeKind
from portfolio.entries import Adjustment, Carry, Cause, Fill, FillState
from portfolio.facts import MakerLeg, Side, Trade, TradeStatus
from portfolio.labelling_hints import hints_of
from portfolio.outcomes import OperationsReport
from tests.evm.chain_operations import ONE, Operation, Scene
from tests.evm.worlds import Row
from tests.evm.worlds.serving import Serviced
from tests.support.venue import OWN_KEY

STRANGER = "0x00000000000000000000000000000000000000f1"
NS_PER_MS = 1_000_000
LOOKS = 3
"""Cycles until nothing is left open: a difference waits for its second look (R-05), a third finds nothing."""
HARMLESS = frozenset({"PORTFOLIO_SYNC_NEGRISK_AGGREGATE"})
"""What a report may say besides; no log was doubted, and no cause inferred."""

MONEY = ("cost_micro", "proceeds_micro", "realized_pnl_micro")
TOLD = {
    "adjustments": ("cause", "size_micro", "fee_micro", "estimated"),
    "fills": ("trade_id", "state", "role", "side", "price_micro", "size_micro", "amount_micro", "fee_micro"),
    "positions": ("shares_micro", "in_flight_micro", "cost_basis_micro", "realized_pnl_micro", "fees_micro"),
}
"""Tables, and the columns that do not depend on the world's hashes, numbers and times."""

Disturb = Callable[[Serviced], None]


def undisturbed(_service: Serviced) -> None:
    """Nothing happens beside."""


@dataclass
class Telling:
    """A story in the making. ``own``: the exchange lists the fills, as those of orders of ours.

    ``disturb`` happens at the steps whose numbers are in ``at``; ``steps`` counts them.
    """

    service: Serviced
    scene: Scene
    operation: Operation
    depth: int
    own: bool = False
    disturb: Disturb = undisturbed
    at: Container[int] = ()
    steps: int = 0
    trades: list[Trade] = field(default_factory=list)

    def tell(self) -> None:
        """All of it."""
        self.dropped()
        self.moved()
        self.rest()

    def dropped(self) -> None:
        """It was seen, and then it is gone for good."""
        self.amid(known=True)
        self.scene.world.reorganise(self.depth, again=False)
        self.step()
        self.seen(waiting=0)
        self.fail()
        self.seen(waiting=0)
        assert list(self.standing()) == []

    def moved(self) -> None:
        """It was seen, and then it is in another block, once in that of the same number."""
        waiting = self.amid(known=False)
        self.scene.world.reorganise(self.depth, again=True, later=int(self.depth != 3))
        self.step()
        self.seen(waiting)
        self.step()

    def rest(self) -> None:
        """All is so deep that it was compared: nothing is left open, and every entry is proven."""
        self.scene.world.mine(self.service.confirmations + 1)
        self.step()
        self.service.look()
        reports = [self.compared() for _ in range(LOOKS)]
        self.step()
        self.seen(waiting=0)
        assert is_quiet(reports[-1]), reports[-1]
        assert {reason for report in reports for reason in report.reasons} <= HARMLESS
        self.prove()
        self.service.assert_replays()

    def amid(self, *, known: bool) -> int:
        """It happens in the middle of so many blocks, each looked at; how many fills wait for their trade then.

        ``known``: the exchange shows its trades before the watcher sees their logs, else after that.
        """
        self.pass_by(self.depth // 2)
        rows = self.operation.act(self.scene)
        fills = [row for row in rows if row.kind is ChangeKind.FILL]
        self.step()
        if self.own and known:
            self.match(fills)
        self.seen(0 if self.own and known else len(fills))
        self.step()
        if self.own and not known:
            self.match(fills)
            self.seen(waiting=0)
        self.pass_by(self.depth - self.depth // 2 - 1)
        self.step()
        return 0 if self.own else len(fills)

    def compared(self) -> OperationsReport:
        """A cycle, at a block that none has seen yet."""
        self.scene.world.mine(1)
        return self.service.cycle()

    def pass_by(self, blocks: int) -> None:
        """Blocks without anything, each looked at."""
        for _ in range(blocks):
            self.scene.world.mine(1)
            self.service.look()

    def seen(self, waiting: int) -> None:
        """The watcher looks, and the books are what the contracts say; no cycle has to come."""
        self.service.look()
        self.service.check(waiting)

    def step(self) -> None:
        """A moment at which something else may happen."""
        if self.steps in self.at:
            self.disturb(self.service)
        self.steps += 1

    @property
    def now_ms(self) -> int:
        """The service's time."""
        return self.service.clock.now_ms()

    # -- trades of ours --------------------------------------------------------------------------------------------

    def match(self, fills: list[Row]) -> None:
        """The exchange lists the fills; the first state is MATCHED, and the transaction has its hash."""
        self.service.labels.follow()
        hashes = {each.order_id: each.transaction_hash for each in self.service.labels.changes() if each.order_id}
        for row in fills:
            trade = self.trade_of(row, hashes[row.order_id])
            self.trades.append(trade)
            self.service.show(trade)

    def fail(self) -> None:
        """The exchange gives up the trades: their transactions will not come again."""
        for trade in self.trades:
            self.service.show(msgspec.structs.replace(trade, status=TradeStatus.FAILED, updated_at_ms=self.now_ms))

    def trade_of(self, row: Row, transaction: str) -> Trade:
        """As the CLOB shows it: the other side is somebody else's."""
        ((name, outcome, shares),) = row.legs
        question = self.scene.world.questions[name]
        token, size = question.tokens[outcome], abs(shares)
        amount = abs(sum(micro for _, micro in row.cash) + row.fee)
        side, other = (Side.BUY, Side.SELL) if shares > 0 else (Side.SELL, Side.BUY)
        price = amount * ONE // size
        ours = MakerLeg(
            order_id=row.order_id,
            owner=OWN_KEY,
            maker_address=self.service.address,
            token_id=token,
            price_micro=price,
            size_micro=size,
            side=side,
        )
        return Trade(
            trade_id=f"trade {len(self.trades)}",
            taker_order_id=row.order_id if row.took else f"order of trade {len(self.trades)}",
            condition_id=question.condition_id,
            token_id=token,
            side=side if row.took else other,
            size_micro=size,
            price_micro=price,
            status=TradeStatus.MATCHED,
            matched_at_ns=self.now_ms * NS_PER_MS,
            updated_at_ms=self.now_ms,
            owner=OWN_KEY if row.took else "somebody",
            maker_address=self.service.address if row.took else STRANGER,
            transaction_hash=transaction,
            trader_side=None,
            bucket_index=0,
            legs=() if row.took else (ours,),
        )

    # -- what stands in the books --------------------------------------------------------------------------------

    def standing(self) -> Iterator[Adjustment | Fill]:
        """What counts in the books since they were opened."""
        for state in self.service.states():
            for booked in state.adjustments.values():
                if not booked.superseded and not is_by(booked.entry, Cause.OPENING):
                    yield booked.entry
            yield from (each.fill for each in state.fills.values() if each.fill.state.effective)

    def prove(self) -> None:
        """The entries are those of the logs of the chain as it is, no other and none twice, and name them."""
        service = self.service
        changes = service.labels.changes()
        service.labels.prove(changes)
        ours = {trade.taker_order_id for trade in self.trades} | {
            leg.order_id for trade in self.trades for leg in trade.legs
        }
        booked = [each for each in changes if each.order_id not in ours]
        hints = hints_of(booked, service.world.book, service.payouts)
        entries = [each for each in self.standing() if not isinstance(each, Fill)]
        named = Counter((each.entry_id.partition("#")[0], each.evidence) for each in entries)
        assert named == Counter((hint.logged_as, hint.evidence) for hint in hints)
        assert all(not each.estimated for each in entries if not is_by(each, Cause.TRANSFER_IN))
        fills = [each for each in self.standing() if isinstance(each, Fill)]
        assert all(each.state is FillState.SETTLED for each in fills)
        settled = Counter((each.order_id, each.settled_by) for each in fills)
        assert settled == Counter((each.order_id, each.evidence) for each in changes if each.order_id in ours)


def told(service: Serviced) -> list[tuple[str, ...]]:
    """Adjustments, fills and positions in words that are the same in every world, sorted.

    Of the money in adjustments it is the sum by token: blocks of a test may share a second, and then an entry's own
    part depends on the order of their hashes; what was restated makes up for it (D-02).
    """
    names = {token: (question.name, str(outcome)) for question, outcome, token in service.world.tokens()}
    adjustments = service.queries.adjustments()
    rows = {
        "adjustments": [row for row in adjustments if row["size_micro"]],
        "fills": service.queries.fills(),
        "positions": service.queries.positions(),
    }
    found = [
        (table, *names[row["token_id"]], *(str(row[column]) for column in columns))
        for table, columns in TOLD.items()
        for row in rows[table]
    ]
    sums: Counter[tuple[str, str]] = Counter()
    for row in adjustments:
        sums.update({(row["token_id"], column): row[column] for column in MONEY})
    found += [(column, *names[token], str(micro)) for (token, column), micro in sums.items()]
    return sorted(found)


def is_by(entry: Adjustment, cause: Cause) -> bool:
    """Whether shares came or went without cash, by that cause."""
    return isinstance(entry, Carry) and entry.cause is cause


def is_quiet(report: OperationsReport) -> bool:
    """Whether a cycle found nothing to do."""
    return not (report.delta_count or report.pending_count or report.cash_unexplained_micro)
