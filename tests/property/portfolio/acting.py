"""What may happen on the naive exchange, as rules of a state machine: orders, matches, settlement, prices, ends."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from portfolio.events import MarketEvent
from tests.property.portfolio import wire
from tests.property.portfolio.exchange import BUY, NO, ONE, SELL, YES, Exchange, Level, Order, Trade
from tests.unit.portfolio.markets import T0

NEXT = {
    "MATCHED_NOT_BROADCASTED": ("MATCHED", "MINED", "FAILED"),
    "MATCHED": ("MINED", "CONFIRMED", "RETRYING", "FAILED"),
    "RETRYING": ("MINED", "CONFIRMED", "FAILED"),
    "MINED": ("CONFIRMED", "RETRYING", "FAILED"),
    "FAILED": ("CONFIRMED",),
}
"""How a trade goes on. A failed one may settle after all (R-10)."""

ENDS = (("CANCELED", ""), ("CANCELED", "EXPIRED_ORDER"), ("CANCELED", "MARKET_RESOLVED"), ("INVALID", ""))
OPEN = frozenset(NEXT) - {"FAILED"}
DUST = 10_000
MOST = 6
SIZES = st.one_of(st.integers(DUST, 12 * DUST), st.integers(1, 500).map(lambda shares: shares * ONE))
PRICES = st.integers(1, 99).map(lambda cents: cents * DUST)
DIRECTIONS = st.tuples(st.sampled_from((YES, YES, NO)), st.sampled_from((BUY, BUY, BUY, SELL)))
STEPS_NS = (0, 1, 999, 1_000_000, 700_000_000, 3_000_000_000)


class ExchangeActs(RuleBasedStateMachine):
    """The exchange acts; what its stream says of it goes into a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.exchange = Exchange(now_ns=T0 * 1_000_000)
        self.pool: list[MarketEvent] = []
        self.repriced: set[Trade] = set()

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        for _ in range(3):
            self.place(data)

    def time_passes(self, data: st.DataObject) -> None:
        self.exchange.now_ns += data.draw(st.sampled_from(STEPS_NS))

    @precondition(lambda self: len(self.fillable()) < MOST)
    @rule(data=st.data())
    def place(self, data: st.DataObject) -> None:
        self.time_passes(data)
        token, side = data.draw(DIRECTIONS)
        order = Order(
            order_id=f"o{len(self.exchange.orders)}",
            token=token,
            side=side,
            price=data.draw(PRICES),
            size=data.draw(SIZES),
            kind=data.draw(st.sampled_from(("GTC", "GTC", "FOK", "FAK"))),
            created_ms=self.exchange.now_ms // 1000 * 1000,
            status=data.draw(st.sampled_from(("LIVE", "LIVE", "DELAYED", "UNMATCHED"))),
        )
        self.exchange.orders.append(order)
        self.say(order)

    def fillable(self) -> list[Order]:
        return [order for order in self.exchange.orders if order.live and order.left >= DUST]

    @precondition(lambda self: self.fillable())
    @rule(data=st.data(), taking=st.booleans())
    def match(self, data: st.DataObject, taking: bool) -> None:
        """One of our orders takes, or a stranger's; others of ours and strangers' are the makers."""
        self.time_passes(data)
        candidates = data.draw(st.permutations(self.fillable()))
        taker = candidates.pop() if taking else None
        token, side = (taker.token, taker.side) if taker is not None else data.draw(DIRECTIONS)
        makers = [order for order in candidates if (order.token == token) != (order.side == side)][:3]
        room = taker.left if taker is not None else None
        levels = [level for order in makers if (level := _level(data, order, room)) is not None]
        if taker is not None and (not levels or data.draw(st.booleans())):
            levels += _strangers(data, token, side, taker.left - sum(level.size for level in levels))
        if not levels:
            return
        number = len(self.exchange.trades)
        trade = Trade(f"t{number * 7 % 10}{number}", self.exchange.now_ns, taker, token, side, levels, "MATCHED", 0)
        trade.status = data.draw(st.sampled_from(("MATCHED", "MATCHED_NOT_BROADCASTED", "MINED", "CONFIRMED")))
        trade.hash = data.draw(st.sampled_from(("", f"0x{trade.trade_id}")))
        self.exchange.trades.append(trade)
        self.exchange.touch(trade)
        for order, size in [*((level.order, level.size) for level in levels), (taker, trade.size)]:
            if order is not None:
                self.fill(order, size)
        self.say(trade)

    def fill(self, order: Order, size: int) -> None:
        """What is less than dust is not left over: the order counts as matched in full (L-03)."""
        order.matched += size
        if order.left < DUST:
            order.matched = order.size
        order.status = "MATCHED" if order.left == 0 else "LIVE"
        self.say(order)

    def changeable(self) -> list[Trade]:
        return [trade for trade in self.exchange.trades if trade.status in NEXT]

    @precondition(lambda self: self.changeable())
    @rule(data=st.data())
    def advance(self, data: st.DataObject) -> None:
        self.time_passes(data)
        trade = data.draw(st.sampled_from(self.changeable()))
        # A status below one that was heard tells no terms, so what was repriced does not go back to it.
        onwards = [status for status in NEXT[trade.status] if status != "RETRYING" or trade not in self.repriced]
        self.move(trade, data.draw(st.sampled_from(onwards)))

    def move(self, trade: Trade, status: str) -> None:
        trade.went_back = status == "RETRYING" and trade.status == "MINED"
        if status == "RETRYING":
            trade.hashes += 1
            trade.hash = f"0x{trade.trade_id}-{trade.hashes}"
        elif status == "MINED":
            trade.hash = trade.hash or f"0x{trade.trade_id}"
        trade.status = status
        self.exchange.touch(trade)
        self.say(trade)

    def repriceable(self) -> list[Trade]:
        return [trade for trade in self.exchange.trades if not trade.went_back]

    @precondition(lambda self: self.repriceable())
    @rule(data=st.data(), price=PRICES)
    def reprice(self, data: st.DataObject, price: int) -> None:
        trade = data.draw(st.sampled_from(self.repriceable()))
        data.draw(st.sampled_from(trade.levels)).price = price
        self.repriced.add(trade)
        self.exchange.touch(trade)
        self.say(trade)

    def endable(self) -> list[Order]:
        return [order for order in self.exchange.orders if order.live or order.status == "MATCHED"]

    @precondition(lambda self: len(self.endable()) > 2)
    @rule(data=st.data(), end=st.sampled_from(ENDS))
    def end(self, data: st.DataObject, end: tuple[str, str]) -> None:
        """Cancelled, expired, killed, resolved, refused; a full order may be called cancelled too."""
        order = data.draw(st.sampled_from(self.endable()))
        order.status, order.because = end if order.live else ENDS[0]
        self.say(order)

    def say(self, what: Order | Trade) -> None:
        if isinstance(what, Order):
            self.pool.append(wire.order_seen(what, self.exchange.now_ms, "stream"))
        else:
            self.pool.extend(wire.fills_seen(what, "stream"))

    def present(self) -> list[MarketEvent]:
        """Every trade and order as REST shows it now."""
        rows: list[MarketEvent] = [event for trade in self.exchange.trades for event in wire.fills_seen(trade, "poll")]
        return [*rows, *(wire.order_seen(order, self.exchange.now_ms, "poll") for order in self.exchange.orders)]


def _level(data: st.DataObject, order: Order, room: int | None) -> Level | None:
    """A maker's part, at its price or a little better; sometimes all but dust, as truncation leaves it."""
    most = order.left if room is None else min(order.left, room // 3)
    if most < DUST:
        return None
    size = data.draw(st.one_of(st.just(most), st.integers(max(DUST, most - DUST), most), st.integers(DUST, most)))
    better = data.draw(st.sampled_from((0, 0, 1)))
    return Level(
        order, order.token, order.side, order.price - better if order.side == BUY else order.price + better, size
    )


def _strangers(data: st.DataObject, token: str, side: str, room: int) -> list[Level]:
    """Makers of others: on the same token, or by mint or merge on the other one."""
    levels = []
    for _ in range(data.draw(st.integers(1, 2))):
        if room < DUST:
            break
        size = data.draw(st.one_of(st.just(room), st.integers(DUST, room)))
        crossing = data.draw(st.booleans())
        where = (NO if token == YES else YES, side) if crossing else (token, SELL if side == BUY else BUY)
        levels.append(Level(None, *where, data.draw(PRICES), size))
        room -= size
    return levels
