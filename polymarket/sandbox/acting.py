"""Carrying out what is asked for by hand: each of ``actions`` as orders, matches and transactions of the world."""

from __future__ import annotations

from typing import Any

from polymarket.sandbox import operations, reorganising
from polymarket.sandbox.actions import (
    AnyAction,
    Cancel,
    Convert,
    Deposit,
    ExternalTrade,
    FailTrade,
    FillOrder,
    Matching,
    Merge,
    Mine,
    Place,
    Redeem,
    Reorganise,
    Resolve,
    SetPrice,
    SettleTrade,
    Split,
    TokenAction,
    TokenMatching,
    TransferIn,
    TransferOut,
    Unwrap,
    Withdraw,
    Wrap,
)
from polymarket.sandbox.amounts import ONE, parse_decimal
from polymarket.sandbox.markets import Market
from polymarket.sandbox.quotes import requote
from polymarket.sandbox.scenario import take
from polymarket.sandbox.trading import FAK, OrderRefusedError, OrderTerms, Party, Settlement, Trade
from polymarket.sandbox.world import World, other_side


def act(world: World, action: AnyAction) -> dict[str, Any]:
    """Make it happen; returns the ids that it made. Raises ``OrderRefusedError`` or ValueError where it cannot be."""
    match action:
        case ExternalTrade() | FillOrder() | Place() | Cancel():
            return _trade(world, action)
        case FailTrade() | SettleTrade():
            return _turn(world, action)
        case TransferIn() | TransferOut() | Deposit() | Withdraw() | Wrap() | Unwrap():
            return _move(world, action)
        case Mine(blocks=blocks):
            world.mine(blocks)
            return {"head": world.chain.head.number}
        case Reorganise():
            return reorganising.reorganise(world, action)
        case SetPrice(condition_id=condition_id, price=price):
            requote(world, _market(world, condition_id).condition_id, parse_decimal(price))
            return {}
        case _:
            return {"transaction_hash": _operate(world, action)}


def _trade(world: World, action: ExternalTrade | FillOrder | Place | Cancel) -> dict[str, Any]:
    match action:
        case ExternalTrade():
            return _external(world, action)
        case FillOrder():
            order = world.exchange.orders.get(action.order_id)
            if order is None:
                raise OrderRefusedError(f"order {action.order_id[:70]} is not known; see orders in /control/books")
            size = parse_decimal(action.size) if action.size else order.remaining
            trade = take(world, order, size, cross=action.cross, settlement=_settlement(action))
            return _ids(world.exchange.trades[trade])
        case Place():
            party = world.wallet.other if action.client == "other" else world.wallet.strategy
            terms = OrderTerms(
                token=_token(world, action),
                side=action.side,
                price=parse_decimal(action.price),
                size=parse_decimal(action.size),
                order_type=action.order_type,
                expires_s=action.expires_s,
            )
            placed, matched = world.place(party, terms, settlement=_settlement(action))
            return {"order_id": placed.order_id, "trade_id": "" if matched is None else matched.trade_id}
        case Cancel():
            return {"order_id": world.exchange.cancel(action.order_id, action.status).order_id}


def _external(world: World, action: ExternalTrade) -> dict[str, Any]:
    """Both orders appear, meet and are filled in one moment, away from the book."""
    token = _token(world, action)
    size, price = parse_decimal(action.size), parse_decimal(action.price)
    if not 0 < price < ONE or size <= 0:
        raise OrderRefusedError(f"size was {action.size}, price {action.price}; expected both positive, price below 1")
    stranger = world.traders[0]
    ours: Party = world.wallet.other
    maker_party, taker_party = (stranger, ours) if action.role == "TAKER" else (ours, stranger)
    taker_side = action.side if action.role == "TAKER" else other_side(action.side)
    terms = OrderTerms(token=token, side=taker_side, price=price, size=size, order_type=FAK)
    maker_terms = OrderTerms(token=token, side=other_side(taker_side), price=price, size=size)
    _require_shares(world, action, size)
    settlement = _settlement(action)
    maker = world.exchange.record(maker_party, maker_terms, world.now_ms)
    taker = world.exchange.record(taker_party, terms, world.now_ms)
    trade = world.exchange.match(taker, [(maker, size)], world.now_ms, listed=action.listed, settlement=settlement)
    return _ids(trade)


def _require_shares(world: World, action: ExternalTrade, size: int) -> None:
    token = _token(world, action)
    market = world.directory.by_token[token]
    if action.side == "SELL" and world.exchange.available(world.wallet.address, market, token) < size:
        raise OrderRefusedError(f"the wallet has fewer than {action.size} shares of {token[:12]} to sell")


def _settlement(action: Matching) -> Settlement:
    if min(action.delay_blocks, action.retries) < 0:
        raise OrderRefusedError(
            f"delay_blocks was {action.delay_blocks}, retries {action.retries}; expected neither below 0"
        )
    return Settlement(**{name: getattr(action, name) for name in Matching.__struct_fields__})


def _ids(trade: Trade) -> dict[str, Any]:
    maker = trade.legs[0].order_id
    return {"trade_id": trade.trade_id, "taker_order_id": trade.taker_order_id, "maker_order_id": maker}


def _turn(world: World, action: FailTrade | SettleTrade) -> dict[str, Any]:
    """Decide how a trade ends that is on its way, or stuck on it."""
    trade = world.exchange.unsettled.get(action.trade_id)
    if trade is None:
        raise OrderRefusedError(f"trade {action.trade_id[:40]} is in a block, over or unknown; its fate stands")
    plan = trade.settlement
    match action:
        case FailTrade():
            plan.stuck, plan.fail, plan.dropped = False, True, action.dropped
        case SettleTrade():
            plan.stuck, plan.fail, plan.delay_blocks, plan.retries, plan.not_before = False, False, 0, 0, 0
    return {"trade_id": trade.trade_id}


def _move(world: World, action: TransferIn | TransferOut | Deposit | Withdraw | Wrap | Unwrap) -> dict[str, Any]:
    amount = parse_decimal(action.amount)
    match action:
        case Deposit():
            return {"transaction_hash": operations.deposit(world, amount)}
        case Withdraw():
            return {"transaction_hash": operations.deposit(world, -amount)}
        case Wrap() | Unwrap():
            signed = amount if isinstance(action, Wrap) else -amount
            return {"transaction_hash": operations.wrap(world, signed)}
        case TransferIn() | TransferOut() if action.asset:
            signed = amount if isinstance(action, TransferIn) else -amount
            return {"transaction_hash": operations.transfer_cash(world, action.asset, signed)}
        case TransferIn() | TransferOut():
            token = _token(world, action)
            market = world.directory.by_token[token]
            send = operations.transfer_in if isinstance(action, TransferIn) else operations.transfer_out
            return {"transaction_hash": send(world, market, token, amount)}


def _operate(world: World, action: Split | Merge | Redeem | Convert | Resolve) -> str:
    match action:
        case Split():
            market = _market(world, action.condition_id)
            return operations.split(world, market, parse_decimal(action.amount), direct=action.direct)
        case Merge():
            market = _market(world, action.condition_id)
            return operations.merge(world, market, parse_decimal(action.amount), direct=action.direct)
        case Redeem():
            market = _market(world, action.condition_id)
            return operations.redeem(world, market, direct=action.direct, operator=action.operator)
        case Resolve():
            if len(action.payouts) != 2 or sum(action.payouts) <= 0 or min(action.payouts) < 0:
                raise OrderRefusedError(f"payouts were {action.payouts}; expected two, such as [1, 0]")
            first, second = action.payouts
            return operations.resolve(world, _market(world, action.condition_id), (first, second))
        case Convert():
            event = world.directory.by_neg_risk_id.get(action.neg_risk_market_id.lower())
            if event is None or not action.questions or not set(action.questions) <= set(range(len(event.markets))):
                raise OrderRefusedError("no such neg-risk event or questions; see markets in /control/books")
            terms = (sorted(set(action.questions)), parse_decimal(action.amount))
            return operations.convert(world, event, terms, direct=action.direct)


def _market(world: World, condition_id: str) -> Market:
    market = world.directory.by_condition.get(condition_id.lower())
    if market is None:
        raise OrderRefusedError(f"market {condition_id[:70]} is not known; see markets in /control/books")
    return market


def _token(world: World, action: TokenAction | TokenMatching) -> str:
    if not action.token_id:
        market = _market(world, action.condition_id)
        if action.outcome not in market.outcomes:
            raise OrderRefusedError(f"outcome was {action.outcome[:20]!r}, expected one of {market.outcomes}")
        return market.tokens[market.outcomes.index(action.outcome)]
    if action.token_id not in world.directory.by_token:
        raise OrderRefusedError(f"token {action.token_id[:80]} is not known; see markets in /control/books")
    return action.token_id
