"""How the exchange writes orders, trades, markets and events: decimal texts, seconds, checksummed addresses."""

from __future__ import annotations

from typing import Any

from polymarket.sandbox.amounts import ONE, decimal_text
from polymarket.sandbox.markets import Market
from polymarket.sandbox.server_state import checksummed
from polymarket.sandbox.trading import KILLED, Leg, Order, Trade


def order_row(order: Order) -> dict[str, Any]:
    """An order as ``/data/orders`` shows it."""
    return {
        "id": order.order_id,
        "status": order.status,
        "owner": order.party.owner,
        "maker_address": checksummed(order.party.address),
        "market": order.condition_id,
        "asset_id": order.terms.token,
        "side": order.terms.side,
        "original_size": decimal_text(order.terms.size),
        "size_matched": decimal_text(order.matched),
        "price": decimal_text(order.terms.price),
        "outcome": order.outcome,
        "expiration": str(order.terms.expires_s),
        "order_type": order.terms.order_type,
        "associate_trades": list(order.trade_ids),
        "created_at": order.created_ms // 1000,
    }


def trade_row(trade: Trade, address: str) -> dict[str, Any]:
    """A trade as ``/data/trades`` shows it: on top the taker's order, below every maker leg."""
    return {
        "id": trade.trade_id,
        "taker_order_id": trade.taker_order_id,
        "market": trade.condition_id,
        "asset_id": trade.token,
        "side": trade.side,
        "size": decimal_text(trade.size),
        "fee_rate_bps": "0",
        "price": decimal_text(trade.price),
        "status": trade.listed_status,
        "match_time": str(trade.matched_s),
        "match_time_nano": str(trade.matched_ns),
        "last_update": str(trade.updated_ms // 1000),
        "outcome": trade.outcome,
        "bucket_index": 0,
        "owner": trade.taker.owner,
        "maker_address": checksummed(trade.taker.address),
        "transaction_hash": trade.transaction_hash,
        "err_msg": trade.error or None,
        "maker_orders": [_leg_row(leg) for leg in trade.legs],
        "trader_side": "TAKER" if trade.taker.address == address else "MAKER",
    }


def order_event(kind: str, order: Order, at_ms: int) -> dict[str, Any]:
    """An ``order`` event of the user channel. Of a killed order the real one knows little, so here it is left out."""
    killed = order.status == KILLED
    return {
        **order_row(order),
        "event_type": "order",
        "type": kind,
        "order_owner": order.party.owner,
        "size_matched": "" if killed else decimal_text(order.matched),
        "associate_trades": list(order.trade_ids) or ([] if killed else None),
        "outcome": "" if killed else order.outcome,
        "created_at": "" if killed else str(order.created_ms // 1000),
        "timestamp": str(at_ms),
    }


def trade_event(trade: Trade, owner: str, at_ms: int) -> dict[str, Any]:
    """A ``trade`` event of the user channel, as the client with that API key is told it."""
    row = trade_row(trade, trade.taker.address)
    del row["match_time_nano"], row["err_msg"]
    return {
        **row,
        "event_type": "trade",
        "type": "TRADE",
        "status": trade.status,
        "trade_owner": trade.taker.owner,
        "trader_side": "TAKER" if trade.taker.owner == owner else "MAKER",
        "timestamp": str(at_ms),
    }


def _leg_row(leg: Leg) -> dict[str, Any]:
    return {
        "order_id": leg.order_id,
        "owner": leg.party.owner,
        "maker_address": checksummed(leg.party.address),
        "matched_amount": decimal_text(leg.size),
        "price": decimal_text(leg.price),
        "fee_rate_bps": "0",
        "asset_id": leg.token,
        "outcome": leg.outcome,
        "side": leg.side,
    }


def market_row(market: Market) -> dict[str, Any]:
    """A market as ``/markets/{condition_id}`` shows it; its numbers are JSON numbers."""
    return {
        "enable_order_book": True,
        "active": True,
        "closed": market.closed,
        "archived": False,
        "accepting_orders": not market.closed,
        "accepting_order_timestamp": "2026-01-01T00:00:00Z",
        "minimum_order_size": market.minimum_size // ONE,
        "minimum_tick_size": market.tick / ONE,
        "condition_id": market.condition_id,
        "question_id": market.question_id,
        "question": market.question,
        "description": "A question that exists only in this sandbox.",
        "market_slug": market.slug,
        "end_date_iso": "2027-12-31T00:00:00Z",
        "game_start_time": None,
        "seconds_delay": 0,
        "fpmm": "",
        "maker_base_fee": 0,
        "taker_base_fee": 1000 if market.fee_rate else 0,
        "notifications_enabled": False,
        "neg_risk": market.claimed_neg_risk,
        "neg_risk_market_id": (market.neg_risk_market_id or "") if market.claimed_neg_risk else "",
        "neg_risk_request_id": "",
        "icon": "",
        "image": "",
        "rewards": {"rates": None, "min_size": 0, "max_spread": 0},
        "is_50_50_outcome": False,
        "tokens": [_token_row(market, token) for token in market.tokens],
        "tags": ["Sandbox"],
    }


def compact_row(market: Market) -> dict[str, Any]:
    """A market as ``/clob-markets/{condition_id}`` shows it; ``nr`` is left out when false, as the real one does."""
    row: dict[str, Any] = {
        "t": [{"t": token, "o": market.outcome_of(token)} for token in market.tokens],
        "mts": market.tick / ONE,
        "mos": market.minimum_size // ONE,
        "mbf": 0,
        "tbf": 1000 if market.fee_rate else 0,
        "fd": {"r": market.fee_rate / ONE, "e": market.fee_exponent, "to": True},
        "ao": not market.closed,
        "c": market.condition_id,
        "v": market.version,
    }
    return {**row, "nr": True} if market.claimed_neg_risk else row


def _token_row(market: Market, token: str) -> dict[str, Any]:
    index = market.index_of(token)
    return {
        "token_id": token,
        "outcome": market.outcomes[index],
        "price": market.price_of(token) / ONE,
        "winner": market.payouts is not None and market.payouts[index] > market.payouts[1 - index],
    }
