"""A naive exchange account for tests: what it really traded and holds, and everything a market may be told of it.

The account keeps two plain lists, trades and other changes of its balance, and no cost at all. Markets under test are
told its story with repetitions, omissions and in any order; it says what the truth is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from messages.codec import SCHEMA, decode, encode, kind_of_event
from portfolio.entries import FillState
from portfolio.events import Event, FillSeen, MarketDefined, MarketEvent
from portfolio.facts import Side, TradeStatus
from portfolio.invariants import (
    InvariantId,
    accounting_breaches,
    stored_breaches,
    sum_breaches,
    unique_entries,
    unique_fills,
)
from portfolio.market import Step, transition
from portfolio.outcomes import AdjustmentRow, FillRow
from portfolio.position import fold
from portfolio.provisional import PROVISIONAL
from portfolio.state import MarketState, digest
from portfolio.trades import TradeLeg
from portfolio.views import ChainView, ExternalView, ViewPolicy
from tests.property.portfolio.happenings import happenings
from tests.unit.portfolio.markets import CONDITION, NO, SECOND, T0, WALLET, YES, leg, meta, prices

TOKENS = (YES, NO)
PATHS = (
    (TradeStatus.MATCHED, TradeStatus.MINED, TradeStatus.CONFIRMED),
    (TradeStatus.CONFIRMED,),
    (TradeStatus.MATCHED, TradeStatus.RETRYING, TradeStatus.FAILED),
    (TradeStatus.FAILED,),
    (TradeStatus.MATCHED_NOT_BROADCASTED,),
)


class Told(NamedTuple):
    """An event and the time it is taken at."""

    event: MarketEvent
    now_ms: int


class Traded(NamedTuple):
    """A trade of the account, with the statuses it goes through."""

    leg: TradeLeg
    path: tuple[TradeStatus, ...]

    @property
    def signed(self) -> int:
        return self.leg.size_micro if self.leg.side is Side.BUY else -self.leg.size_micro

    def seen(self, status: TradeStatus) -> FillSeen:
        return FillSeen(leg=replace(self.leg, status=status), feed="poll")


@st.composite
def trades(draw: st.DrawFn, number: int) -> Traded:
    size = draw(st.one_of(st.integers(1, 12), st.integers(1, 5_000_000_000)))
    given = {
        "token_id": draw(st.sampled_from(TOKENS)),
        "side": draw(st.sampled_from(Side)),
        "order_id": draw(st.sampled_from(("o1", "o2"))),
        "external": draw(st.booleans()),
        "at_ms": T0 + draw(st.integers(0, 20)) * SECOND,
    }
    made = leg(f"t{number}", size, draw(st.integers(1, 999_999)), **given)
    return Traded(made, draw(st.sampled_from(PATHS)))


def accounts(most: int = 8) -> st.SearchStrategy[list[Traded]]:
    """Trades of one account; no two have one id."""
    return st.integers(0, most).flatmap(lambda count: st.tuples(*(trades(n) for n in range(count))).map(list))


@st.composite
def deliveries(draw: st.DrawFn, account: Sequence[Traded]) -> list[FillSeen]:
    """Every trade's statuses in any order and with repetitions; each one's last word is heard at least once."""
    said = [trade.seen(trade.path[-1]) for trade in account]
    more = [trade.seen(status) for trade in account for status in trade.path]
    if more:
        said += draw(st.lists(st.sampled_from(more), max_size=2 * len(more)))
    return draw(st.permutations(said))


@st.composite
def stories(draw: st.DrawFn) -> list[Told]:
    """Any events at all: fills, orders, look-ups, records, and views that may be true, late, partial or wrong."""
    account = draw(accounts(6))
    told: list[Told] = [Told(MarketDefined(metas=(meta(),)), T0)]
    now_ms, block = T0, 0
    for number in range(draw(st.integers(0, 12))):
        now_ms += draw(st.sampled_from((0, SECOND, 31 * SECOND)))
        what = draw(st.sampled_from(("fill", "view", "else")))
        if what == "else":
            told.append(Told(draw(happenings(number)), now_ms))
            continue
        if account and what == "fill":
            trade = draw(st.sampled_from(account))
            told.append(Told(trade.seen(draw(st.sampled_from(trade.path))), now_ms))
            continue
        block += draw(st.integers(0, 3))
        balances = {token: draw(st.sampled_from(_plausible(account, token))) for token in TOKENS if draw(st.booleans())}
        opening = draw(st.integers(0, 9)) == 0
        told.append(Told(view(number, block, balances, now_ms, opening=opening), now_ms))
    return told


def _plausible(account: Sequence[Traded], token: str) -> list[int]:
    """Balances near the truth: nothing, sums of prefixes of the trades, and one unit beside them."""
    sums = [0]
    for trade in account:
        if trade.leg.token_id == token:
            sums.append(sums[-1] + trade.signed)
    return sorted({max(0, value + off) for value in sums for off in (0, 1)})


def view(number: int, block: int, balances: dict[str, int], now_ms: int, *, opening: bool = False) -> ExternalView:
    """What one cycle learned at a block that stands at ``now_ms``."""
    return ExternalView(
        cycle_id=f"c{number}",
        base_version=0,
        synced_at_ms=now_ms,
        policy=ViewPolicy(),
        opening=opening,
        prices=prices(yes=600_000, no=400_000),
        chain=ChainView(block_number=block, block_time_ms=now_ms, balances=tuple(balances.items())),
    )


class Listener:
    """A market that is told things, with a second set of books made of its rows alone."""

    def __init__(self) -> None:
        self.state = MarketState(wallet=WALLET, market_id=CONDITION)
        self.shares: dict[str, int] = {}
        self.realised: dict[str, int] = {}
        self.seen: set[tuple[str, str]] = set()

    def tell(self, event: MarketEvent, now_ms: int) -> Step:
        step = transition(self.state, event, now_ms)
        assert transition(self.state, event, now_ms, rows=False).state == step.state
        self.state = step.state
        for row in step.rows:
            if isinstance(row, AdjustmentRow):
                self._add(row.token_id, row.size_micro, row.realized_pnl_micro)
            if isinstance(row, FillRow):
                self._first_sight(row)
        return step

    def _first_sight(self, row: FillRow) -> None:
        """A fill counts as it was booked; what becomes of it later is stated by rows of its own.

        The notice of what an order shows beyond its trades is no fill: that is booked by such rows alone (D-03).
        """
        key = (row.trade_id, row.order_id)
        if key not in self.seen and row.state.effective and row.trade_id != PROVISIONAL:
            signed = row.size_micro if row.side is Side.BUY else -row.size_micro
            self._add(row.token_id, signed, row.realized_pnl_micro)
        self.seen.add(key)

    def _add(self, token_id: str, shares: int, realised: int) -> None:
        self.shares[token_id] = self.shares.get(token_id, 0) + shares
        self.realised[token_id] = self.realised.get(token_id, 0) + realised

    def check(self) -> None:
        """Every identity that must hold after each step; nothing halts the market but a sale that stays uncovered."""
        assert self.state.halted == "" or self.state.halted.startswith(InvariantId.SHORTFALL_PASSES.value)
        for token in TOKENS:
            held = self.state.position(token)
            assert self.shares.get(token, 0) == held.shares_micro
            assert self.realised.get(token, 0) == held.realized_pnl_micro
            assert accounting_breaches(held) == ()
        entries = tuple(self.state.entries())
        folded = fold(entries)
        assert stored_breaches(self.state.positions, folded) == ()
        assert sum_breaches(folded) == ()
        assert unique_fills(booked.fill for booked in self.state.fills.values()) == ()
        assert unique_entries(entries) == ()
        counting = [entry.at for entry in entries if getattr(entry, "state", FillState.SETTLED).effective]
        assert self.state.newest_at == max(counting, default=None)


def replayed(story: Sequence[Told]) -> str:
    """Digest of a fresh market that takes the story from its journal bytes."""
    state = MarketState(wallet=WALLET, market_id=CONDITION)
    for event, now_ms in story:
        back: Event = decode(encode(event), kind_of_event(event), SCHEMA)
        assert isinstance(back, MarketEvent)
        state = transition(state, back, now_ms).state
    return digest(state)
