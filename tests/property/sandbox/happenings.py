"""Anything that can happen to the wallet of a small world, drawn by hypothesis and tried on it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import (
    AnyAction,
    Convert,
    Deposit,
    ExternalTrade,
    FailTrade,
    FillOrder,
    Merge,
    Redeem,
    Reorganise,
    Resolve,
    SettleTrade,
    Split,
    TransferIn,
    TransferOut,
    Unwrap,
    Withdraw,
    Wrap,
)
from polymarket.sandbox.genesis import create_world
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.trading import BUY, SELL, OrderRefusedError
from polymarket.sandbox.world import World

NOW_MS = 1_795_000_000_000
FINALITY = 8

market = st.integers(0, 5)
outcome = st.integers(0, 1)
amount = st.sampled_from(["0.000001", "0.333333", "5", "17.5", "120", "999999"])
flag = st.booleans()
Drawn = tuple[str, dict[str, Any], int]
"""What happens, how, and how many blocks come after it."""


def drawn(name: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Drawn]:
    return st.tuples(st.just(name), st.fixed_dictionaries(fields), st.sampled_from([1, 0, 2]))


trade_fields = {"side": st.sampled_from([BUY, SELL]), "role": st.sampled_from(["TAKER", "MAKER"])}
anything = st.one_of(
    drawn("trade", market=market, outcome=outcome, amount=amount, retries=st.integers(0, 1), **trade_fields),
    drawn("fill", order=st.integers(0, 7), cross=flag),
    drawn("settle", trade=st.integers(0, 7), fail=flag),
    drawn("split", market=market, amount=amount, direct=flag),
    drawn("merge", market=market, amount=amount, direct=flag),
    drawn("convert", questions=st.sets(st.integers(0, 2), min_size=1), amount=amount, direct=flag),
    drawn("shares", market=market, outcome=outcome, amount=amount, out=flag),
    drawn("cash", kind=st.sampled_from(["in", "out", "deposit", "withdraw", "wrap", "unwrap"]), amount=amount),
    drawn("resolve", market=market, payouts=st.sampled_from([[1, 0], [0, 1], [1, 1]])),
    drawn("redeem", market=market, how=st.sampled_from(["adapter", "direct", "operator"])),
)
reorganisation = drawn(
    "reorganise",
    depth=st.integers(1, FINALITY),
    delay=st.integers(0, 4),
    lost=st.integers(0, 3),
    blocks=st.none() | st.integers(0, 6),
    trade_status=st.sampled_from(["RETRYING", "MATCHED", ""]),
)


def small_world() -> World:
    """Two standard markets, one of Protocol V2 and an event of three questions, with something in each."""
    options = WorldOptions(
        markets=2, events=1, protocol_v2_markets=1, positions=6, orders=8, activity=False, finality_blocks=FINALITY
    )
    return create_world(options, NOW_MS)


def let(here: World, happening: Drawn) -> dict[str, Any] | None:
    """Carry it out and build its blocks; None where the exchange or the sandbox refuses it."""
    name, given, blocks = happening
    told = None
    try:
        action = _ACTIONS[name](here, given)
        told = None if action is None else act(here, action)
    except OrderRefusedError:
        pass
    here.mine(blocks)
    return told


def _trade(here: World, given: dict[str, Any]) -> AnyAction:
    token = here.directory.markets[given["market"]].tokens[given["outcome"]]
    rest = {name: given[name] for name in ("side", "role", "retries")}
    return ExternalTrade(token_id=token, size=given["amount"], price="0.4", **rest)


def _fill(here: World, given: dict[str, Any]) -> AnyAction | None:
    orders = here.exchange.live_orders(here.wallet.address)
    return (
        None if not orders else FillOrder(order_id=orders[given["order"] % len(orders)].order_id, cross=given["cross"])
    )


def _settle(here: World, given: dict[str, Any]) -> AnyAction | None:
    trades = list(here.exchange.unsettled)
    if not trades:
        return None
    kind = FailTrade if given["fail"] else SettleTrade
    return kind(trade_id=trades[given["trade"] % len(trades)])


def _shares(here: World, given: dict[str, Any]) -> AnyAction:
    token = here.directory.markets[given["market"]].tokens[given["outcome"]]
    kind = TransferOut if given["out"] else TransferIn
    return kind(token_id=token, amount=given["amount"])


def _cash(_here: World, given: dict[str, Any]) -> AnyAction:
    how = given["amount"]
    made: dict[str, AnyAction] = {
        "in": TransferIn(amount=how, asset="usdc_e"),
        "out": TransferOut(amount=how, asset="pusd"),
        "deposit": Deposit(amount=how),
        "withdraw": Withdraw(amount=how),
        "wrap": Wrap(amount=how),
        "unwrap": Unwrap(amount=how),
    }
    return made[given["kind"]]


def _convert(here: World, given: dict[str, Any]) -> AnyAction:
    event = here.directory.markets[-1].neg_risk_market_id or ""
    chosen = sorted(given["questions"])
    return Convert(neg_risk_market_id=event, questions=chosen, amount=given["amount"], direct=given["direct"])


def _redeem(here: World, given: dict[str, Any]) -> AnyAction:
    how = given["how"]
    condition = here.directory.markets[given["market"]].condition_id
    return Redeem(condition_id=condition, direct=how == "direct", operator=how == "operator")


def _reorganise(here: World, given: dict[str, Any]) -> AnyAction:
    """As deep as it can go at most; of what stood there, the first few are lost."""
    depth = min(given["depth"], here.chain.head.number - here.finalized())
    fork = here.chain.head.number - depth
    stood = [tx for block in here.chain.blocks if block.number > fork for tx in block.transactions]
    rest = {name: given[name] for name in ("delay", "blocks", "trade_status")}
    return Reorganise(depth=depth, drop=stood[: given["lost"]], **rest)


def _on_market(here: World, given: dict[str, Any]) -> dict[str, Any]:
    condition = here.directory.markets[given["market"]].condition_id
    return {"condition_id": condition, **{name: value for name, value in given.items() if name != "market"}}


_ACTIONS: dict[str, Any] = {
    "trade": _trade,
    "fill": _fill,
    "settle": _settle,
    "split": lambda here, given: Split(**_on_market(here, given)),
    "merge": lambda here, given: Merge(**_on_market(here, given)),
    "convert": _convert,
    "shares": _shares,
    "cash": _cash,
    "resolve": lambda here, given: Resolve(**_on_market(here, given)),
    "redeem": _redeem,
    "reorganise": _reorganise,
}
