"""How a world begins: its markets, its market makers' quotes, and the wallet's own history up to now.

The history is real: the wallet's positions were bought, split and received in blocks of the past, and its resting
orders were placed after that, so every source tells the same story from the first request on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from polymarket.sandbox import addresses, collateral, contracts
from polymarket.sandbox.amounts import ONE, parse_decimal
from polymarket.sandbox.books import PUSD
from polymarket.sandbox.markets import CENT, Event, Market, neg_risk_event, protocol_v2_market, standard_market
from polymarket.sandbox.operations import deposit, prepare, split, transfer_in
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.quotes import market_maker, quote
from polymarket.sandbox.scenario import Scenario
from polymarket.sandbox.tokens import Way, send_batch
from polymarket.sandbox.trading import BUY, SELL, OrderTerms
from polymarket.sandbox.world import World

HISTORY_BLOCKS = 40
_STOCK = parse_decimal("1000000000")
_BRIDGED = 1000 * _STOCK
OPENING_CASH = parse_decimal("52341")
_FEE_RATES = (50_000, 40_000, 70_000, 0)
_DEFAULT_POSITIONS = ((0, 0, "1500"), (1, 1, "800"), (3, 0, "250.5"), (6, 0, "400"), (7, 0, "300"), (8, 0, "200"))
_DEFAULT_ORDERS = (
    (0, 0, BUY, 3, "200"),
    (0, 0, SELL, 4, "500"),
    (1, 1, SELL, 5, "300"),
    (3, 0, BUY, 6, "100"),
    (4, 0, BUY, 2, "150"),
    (4, 1, BUY, 4, "150"),
    (6, 0, SELL, 3, "100"),
    (7, 0, BUY, 5, "80"),
)
_SPLIT_MARKET, _SPLIT_SIZE = 2, "600"
_GIFT_MARKET, _GIFT_SIZE = 5, "120.25"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The wallet's opening: what it buys (market, outcome, size) and rests (market, outcome, side, ticks off, size)."""

    positions: tuple[tuple[int, int, str], ...]
    orders: tuple[tuple[int, int, str, int, str], ...]
    extras: bool


def create_world(options: WorldOptions, now_ms: int) -> World:
    """A world whose present is ``now_ms`` and whose history lies before it."""
    world = World(options, now_ms - HISTORY_BLOCKS * options.block_time_ms)
    _markets(world)
    for index, market in enumerate(world.directory.markets):
        quote(world, market, market_maker(world, index))
    plan = _plan(options, len(world.directory.markets))
    start = world.now_ms
    _stock_others(world)
    world.advance(start)
    deposit(world, _enough_for(plan))
    world.advance(start + options.block_time_ms)
    _open_positions(world, plan)
    world.advance(start + 2 * options.block_time_ms)
    deposit(world, OPENING_CASH - world.books.cash[PUSD])
    world.advance(start + 3 * options.block_time_ms)
    _rest_orders(world, plan)
    world.advance(now_ms)
    if options.activity:
        world.after_block = Scenario(world).after_block
    return world


def _markets(world: World) -> None:
    options = world.options
    prices = world.names.random("prices")
    for number in range(options.markets + options.protocol_v2_markets):
        make = standard_market if number < options.markets else protocol_v2_market
        market = make(number, world.names.hash32("question"), prices.randrange(15, 86) * CENT)
        event = Event(event_id=str(20_000 + number), title=market.question, slug=market.slug, markets=[market])
        world.directory.add(event)
    for number in range(options.events):
        world.directory.add(neg_risk_event(number, (48 * CENT, 31 * CENT, 18 * CENT)))
    for index, market in enumerate(world.directory.markets):
        market.fee_rate = _FEE_RATES[index % len(_FEE_RATES)]


def _stock_others(world: World) -> None:
    """Everybody but the wallet is rich in money and in shares of every market, so that every match can settle."""
    others = [party.address for party in (*world.traders, *world.makers)]
    bridge, each = addresses.BRIDGE, len(others) * _STOCK

    def give_cash() -> None:
        collateral.bridge_in(world.chain, bridge, (1 + len(world.directory.markets)) * each + _BRIDGED)
        collateral.bridge_in(world.chain, others[0], _STOCK)
        for other in others:
            collateral.onramp(world.chain, (bridge, other), _STOCK)

    def give_shares(market: Market) -> None:
        if market.version == "v2":
            collateral.onramp(world.chain, (bridge, bridge), each)
        contracts.split(world.chain, bridge, market, each, direct=market.version != "v2")
        for other in others:
            way = Way(market.token_contract, bridge, bridge, other)
            send_batch(world.chain, way, dict.fromkeys(market.tokens, _STOCK))

    prepare(world, addresses.ONRAMP, give_cash)
    for market in world.directory.markets:
        prepare(world, market.token_contract, partial(give_shares, market))


def _enough_for(plan: Plan) -> int:
    """More than the positions can cost: no share costs more than 1, no fee more than a tenth of that."""
    shares = sum(parse_decimal(size) for *_, size in plan.positions)
    return (shares + parse_decimal(_SPLIT_SIZE)) * 11 // 10


def _plan(options: WorldOptions, markets: int) -> Plan:
    small = options.positions is None and options.markets >= 6 and options.events >= 1
    offset = options.protocol_v2_markets + options.markets - 6
    if small:
        positions = tuple((_shift(market, offset), outcome, size) for market, outcome, size in _DEFAULT_POSITIONS)
    else:
        positions = _many_positions(markets, 6 if options.positions is None else options.positions)
    if small and options.orders is None:
        orders = tuple((_shift(market, offset), *rest) for market, *rest in _DEFAULT_ORDERS)
    else:
        orders = _many_orders(markets, 8 if options.orders is None else options.orders)
    return Plan(positions=positions, orders=orders, extras=small)  # type: ignore[arg-type]


def _shift(market: int, offset: int) -> int:
    """Index of a market of the default plan where more standard markets come before the neg-risk event."""
    return market if market < 6 else market + offset


def _many_positions(markets: int, count: int) -> tuple[tuple[int, int, str], ...]:
    return tuple((i % markets, i // markets % 2, f"{50 + 37 * i % 400}.{i % 100:02d}") for i in range(count))


def _many_orders(markets: int, count: int) -> tuple[tuple[int, int, str, int, str], ...]:
    return tuple(
        (i % markets, i // markets % 2, BUY, 2 + i // (2 * markets) % 8, str(10 + i % 90)) for i in range(count)
    )


def _open_positions(world: World, plan: Plan) -> None:
    markets = world.directory.markets
    for market_index, outcome, size in plan.positions:
        market = markets[market_index]
        token = market.tokens[outcome]
        price = market.price_of(token) + market.tick
        world.place(world.wallet.strategy, OrderTerms(token=token, side=BUY, price=price, size=parse_decimal(size)))
    if plan.extras:
        split(world, markets[_SPLIT_MARKET], parse_decimal(_SPLIT_SIZE))
        transfer_in(world, markets[_GIFT_MARKET], markets[_GIFT_MARKET].tokens[0], parse_decimal(_GIFT_SIZE))


def _rest_orders(world: World, plan: Plan) -> None:
    for market_index, outcome, side, ticks, size in plan.orders:
        market = world.directory.markets[market_index]
        token = market.tokens[outcome]
        away = ticks * market.tick
        price = market.price_of(token) + (away if side == SELL else -away)
        price = min(max(price, market.tick), ONE - market.tick)
        world.place(world.wallet.strategy, OrderTerms(token=token, side=side, price=price, size=parse_decimal(size)))
