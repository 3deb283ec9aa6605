"""A market in the hand of a test: builders for what it is told, and a book that keeps its state and all its rows."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec.structs import replace

from portfolio.entries import Adjustment
from portfolio.events import FillChecked, FillSeen, MarketDefined, MarketEvent, OrderChecked, OrderSeen
from portfolio.facts import (
    DataPosition,
    MarketMeta,
    OpenOrder,
    OrderStatus,
    Payout,
    Role,
    Side,
    TokenMeta,
    TradeStatus,
)
from portfolio.judging import ViewResult
from portfolio.market import Step, transition
from portfolio.outcomes import Outcome
from portfolio.position import Position
from portfolio.state import BookedFill, MarketState, fill_key
from portfolio.trades import TradeLeg
from portfolio.views import (
    ChainView,
    ExternalView,
    OrderFate,
    OrderState,
    OrdersView,
    TokenPrice,
    ViewPolicy,
)

WALLET = "main"
CONDITION = "0xc0"
EVENT = "0xe0"
YES, NO = "yes", "no"
OWN_KEY = "own-key"
FOREIGN_KEY = "foreign-key"

SHARE = 1_000_000
"""One share, one pUSD, and the price 1.00, in micro."""

CENT = 10_000
T0 = 1_746_792_000_000
SECOND = 1_000
MINUTE = 60_000
NS_PER_MS = 1_000_000

AnOutcome = TypeVar("AnOutcome")


def meta(condition_id: str = CONDITION, tokens: tuple[str, str] = (YES, NO), **given: Any) -> MarketMeta:
    values: dict[str, Any] = {
        "condition_id": condition_id,
        "question_id": f"q-{condition_id}",
        "title": "Will it rain?",
        "slug": "rain",
        "version": "v2",
        "tokens": tuple(
            TokenMeta(token_id=token, outcome=outcome, outcome_index=index, contract="0xctf")
            for index, (token, outcome) in enumerate(zip(tokens, ("Yes", "No"), strict=True))
        ),
        "neg_risk_claimed": False,
        "neg_risk_derived": False,
        "neg_risk_market_id": None,
        "question_index": None,
        "closed": False,
        "fee_rate_micro": None,
        "fee_exponent": None,
    }
    return MarketMeta(**(values | given))


def question(index: int) -> MarketMeta:
    """One question of a neg-risk event: tokens ``y0``/``n0``, ``y1``/``n1``, …"""
    return meta(
        f"0xc{index}",
        (f"y{index}", f"n{index}"),
        neg_risk_claimed=True,
        neg_risk_derived=True,
        neg_risk_market_id=EVENT,
        question_index=index,
    )


def leg(trade: str = "t1", size: int = 10 * SHARE, price: int = 40 * CENT, **given: Any) -> TradeLeg:
    """A purchase of YES by a maker order of ours, unless ``given`` says otherwise; ``at_ms`` is when it was matched."""
    at_ms = given.pop("at_ms", T0)
    values: dict[str, Any] = {
        "trade_id": trade,
        "order_id": "o1",
        "condition_id": CONDITION,
        "token_id": YES,
        "side": Side.BUY,
        "role": Role.MAKER,
        "price_micro": price,
        "size_micro": size,
        "amount_micro": size * price // SHARE,
        "levels": (),
        "status": TradeStatus.MATCHED,
        "owner": OWN_KEY,
        "external": False,
        "transaction_hash": None,
        "matched_at_ns": at_ms * NS_PER_MS,
    }
    return TradeLeg(**(values | given))


def order(order_id: str = "o1", **given: Any) -> OpenOrder:
    """A resting purchase of 100 YES at 0.60, nothing matched, created one second before T0."""
    values: dict[str, Any] = {
        "order_id": order_id,
        "condition_id": CONDITION,
        "token_id": YES,
        "side": Side.BUY,
        "price_micro": 60 * CENT,
        "original_size_micro": 100 * SHARE,
        "size_matched_micro": 0,
        "status": OrderStatus.LIVE,
        "created_at_ms": T0 - SECOND,
        "owner": OWN_KEY,
        "maker_address": "0xfunder",
        "order_type": "GTC",
    }
    return OpenOrder(**(values | given))


def listed(*orders: OpenOrder, previous: int | None = T0 - MINUTE, **given: Any) -> OrdersView:
    """A complete list; ``previous`` is when the one before began."""
    return OrdersView(read_at_ms=given.pop("read_at_ms", T0), previous_read_at_ms=previous, orders=orders, **given)


def fate(order_id: str, found: OpenOrder | None) -> OrderFate:
    return OrderFate(order_id=order_id, order=found)


def chain(block: int, payouts: tuple[Payout, ...] = (), at_ms: int | None = None, **balances: int) -> ChainView:
    """Balances at a block; a block is two seconds, block 0 stands at T0."""
    return replace(balances_at(block, balances, payouts), **({} if at_ms is None else {"block_time_ms": at_ms}))


def balances_at(block: int, balances: dict[str, int], payouts: tuple[Payout, ...] = ()) -> ChainView:
    """As ``chain``, with the balances by token id."""
    return ChainView(
        block_number=block,
        block_time_ms=T0 + 2 * SECOND * block,
        balances=tuple(balances.items()),
        payouts=payouts,
    )


def data_row(token_id: str, size: int, cost: int = 0, price: int | None = None) -> DataPosition:
    return DataPosition(
        token_id=token_id,
        condition_id=CONDITION,
        size_micro=size,
        entry_cost_micro=cost,
        price_micro=price,
        neg_risk=None,
        opposite_token_id=None,
    )


def prices(**given: int) -> tuple[TokenPrice, ...]:
    return tuple(TokenPrice(token_id=token_id, price_micro=price) for token_id, price in given.items())


class Book:
    """A market under test: it remembers its state, every row, and the time it was last told something."""

    without_rows = True
    """Whether everything is told once more without rows, which must come to the same."""

    def __init__(self, *metas: MarketMeta, market_id: str = CONDITION) -> None:
        self.state = MarketState(wallet=WALLET, market_id=market_id)
        self.now_ms = T0
        self.rows: list[Outcome] = []
        self.step = Step(state=self.state)
        self.cycles = 0
        self.tell(MarketDefined(metas=metas or (meta(),), question_count=len(metas) or None))

    def tell(self, event: MarketEvent) -> Step:
        self.step = transition(self.state, event, self.now_ms)
        if self.without_rows:
            bare = transition(self.state, event, self.now_ms, rows=False)
            assert (bare.state, bare.result) == (self.step.state, self.step.result)
        self.state = self.step.state
        self.rows.extend(self.step.rows)
        return self.step

    def see(self, *legs: TradeLeg, feed: str = "poll") -> Step:
        for each in legs:
            self.tell(FillSeen(leg=each, feed=feed))
        return self.step

    def show(self, *orders: OpenOrder, at_ms: int | None = None, feed: str = "stream") -> Step:
        """Messages about orders, as they stood at ``at_ms`` (now, where it is not given)."""
        for each in orders:
            self.tell(OrderSeen(order=each, at_ms=self.now_ms if at_ms is None else at_ms, feed=feed))
        return self.step

    def check(self, trade_id: str = "t1", **given: Any) -> Step:
        """The fill was looked up again: the exchange shows nothing, the chain nothing, unless ``given`` says so."""
        values: dict[str, Any] = {"order_id": "o1", "status": None, "receipt": None, "chain_asked": True}
        return self.tell(FillChecked(trade_id=trade_id, ttl_ms=15 * MINUTE, **(values | given)))

    def check_order(self, found: OpenOrder | None, order_id: str = "o1") -> Step:
        """The order was looked up again because it shows more than its trades."""
        return self.tell(OrderChecked(order_id=order_id, order=found, ttl_ms=15 * MINUTE))

    def look(self, chain: ChainView | None = None, **given: Any) -> ViewResult:
        """One cycle's view; time passes to the block's, and each view is a cycle of its own."""
        self.cycles += 1
        if chain is not None:
            self.now_ms = max(self.now_ms, chain.block_time_ms)
        values: dict[str, Any] = {
            "cycle_id": f"c{self.cycles}",
            "base_version": self.state.version,
            "synced_at_ms": self.now_ms,
            "policy": ViewPolicy(),
            "prices": prices(yes=50 * CENT, no=50 * CENT),
            "chain": chain,
            "own_keys": (OWN_KEY,),
        }
        result = self.tell(ExternalView(**(values | given))).result
        assert result is not None
        return result

    def look_twice(self, balances: dict[str, int], payouts: tuple[Payout, ...] = (), **given: Any) -> ViewResult:
        """The same balances at blocks 50 and 51; what the second look gave."""
        self.look(balances_at(50, balances, payouts), **given)
        return self.look(balances_at(51, balances, payouts), **given)

    def wait(self, passed_ms: int) -> None:
        self.now_ms += passed_ms

    def position(self, token_id: str = YES) -> Position:
        return self.state.position(token_id)

    def shares(self, token_id: str = YES) -> int:
        return self.position(token_id).shares_micro

    def fill(self, trade_id: str = "t1", order_id: str = "o1") -> BookedFill:
        return self.state.fills[fill_key(trade_id, order_id)]

    def order(self, order_id: str = "o1") -> OrderState:
        return self.state.orders[order_id]

    def entries(self) -> tuple[Adjustment, ...]:
        """The adjustments that count, oldest booking first."""
        return tuple(booked.entry for booked in self.state.adjustments.values() if not booked.superseded)

    def last(self, kind: type[AnOutcome]) -> tuple[AnOutcome, ...]:
        """Rows of one kind that the last step wrote."""
        return tuple(row for row in self.step.rows if isinstance(row, kind))

    def all(self, kind: type[AnOutcome]) -> tuple[AnOutcome, ...]:
        """Rows of one kind since the beginning."""
        return tuple(row for row in self.rows if isinstance(row, kind))
