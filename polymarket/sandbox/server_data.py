"""The Data API v2: positions, trades, activity, value, resolutions and status; rounded, and as late as asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from polymarket.sandbox.amounts import ONE, parse_decimal, rounded
from polymarket.sandbox.books import TAKER, Fill, Operation, average_price
from polymarket.sandbox.markets import Market
from polymarket.sandbox.server_pages import BadCursorError, data_page
from polymarket.sandbox.server_positions import Positions, is_ours, shown_block
from polymarket.sandbox.server_request import Answer, answer, request
from polymarket.sandbox.server_state import Route, Sandbox

_LARGEST_PAGE = 1000
_MS_PER_S = 1000
_HIDDEN_BY_DEFAULT = {"DEPOSIT", "WITHDRAWAL"}
_SHOWN = {"TRADE", "SPLIT", "MERGE", "REDEEM", "CONVERSION", "DEPOSIT", "WITHDRAWAL"}


class DataApi:
    """Views of the Data API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._positions = Positions(sandbox)

    def routes(self) -> list[Route]:
        """Every path."""
        return [
            ("GET", "/v2/positions", self._listing(self._positions.rows)),
            ("GET", "/v2/trades", self._listing(self._trades)),
            ("GET", "/v2/activity", self._listing(self._activity)),
            ("GET", "/v2/resolutions", self._listing(self._resolutions)),
            ("GET", "/v2/value", self._value),
            ("GET", "/v2/status", self._status),
        ]

    def _listing(self, make: Callable[[], list[dict[str, Any]]]) -> Callable[[], Answer]:
        def view() -> Answer:
            if "offset" in request().args:
                return _refusal("offset is not supported; follow next_cursor", "offset")
            try:
                size = min(_LARGEST_PAGE, int(request().args.get("limit", "100")))
                return answer(data_page(make(), request().args.get("cursor"), size))
            except (BadCursorError, ValueError) as error:
                return _refusal(str(error), "cursor" if isinstance(error, BadCursorError) else "limit")

        return view

    def _trades(self) -> list[dict[str, Any]]:
        """One row for each executed order of the wallet; only as taker unless asked otherwise."""
        taker_only = request().args.get("taker_only", "true") == "true"
        smallest = parse_decimal(request().args.get("filter_amount", "0.01"))
        rows = []
        for operation in reversed(self._operations()):
            fills = [f for f in operation.fills if f.size >= smallest and (f.role == TAKER or not taker_only)]
            rows += [self._trade(operation, fill) for fill in fills]
        return rows

    def _trade(self, operation: Operation, fill: Fill) -> dict[str, Any]:
        market = self._sandbox.world.directory.by_token[fill.token]
        return {
            **self._row(operation, market, fill.token),
            "side": fill.side,
            "size": rounded(fill.size, 4),
            "price": rounded(average_price(fill.cash, fill.size), 4),
            "pseudonym": "Sandbox",
            "bio": "",
            "profile_image_optimized": "",
        }

    def _activity(self) -> list[dict[str, Any]]:
        wanted = request().args.get("type")
        hide = request().args.get("exclude_deposits_withdrawals", "true") == "true"
        rows: list[dict[str, Any]] = []
        for operation in self._operations():
            kind = operation.kind
            if kind in _SHOWN and wanted in {None, kind} and not (hide and kind in _HIDDEN_BY_DEFAULT):
                rows += self._activity_rows(operation)
        newest_first = request().args.get("sort_direction", "DESC") == "DESC"
        return rows[::-1] if newest_first else rows

    def _activity_rows(self, operation: Operation) -> list[dict[str, Any]]:
        if operation.fills:
            return [self._activity_fill(operation, fill) for fill in operation.fills]
        if not operation.tokens:
            cash = sum(operation.cash.values())
            return [self._movement(operation, "", abs(cash), abs(cash))]
        cash = abs(sum(operation.cash.values()))
        return [self._movement(operation, token, abs(change), cash) for token, change in operation.tokens.items()]

    def _activity_fill(self, operation: Operation, fill: Fill) -> dict[str, Any]:
        paid = abs(fill.cash) + (fill.fee if fill.side == "BUY" else -fill.fee)
        price = average_price(fill.cash, fill.size)
        row = self._movement(operation, fill.token, fill.size, paid)
        return {**row, "side": fill.side, "price": rounded(price, 4)}

    def _movement(self, operation: Operation, token: str, size: int, cash: int) -> dict[str, Any]:
        market = self._sandbox.world.directory.by_token.get(token)
        return {
            **self._row(operation, market, token),
            "type": operation.kind,
            "size": rounded(size, 6),
            "usdc_size": rounded(cash, 6),
            "price": 0.0,
            "side": "",
        }

    def _row(self, operation: Operation, market: Market | None, token: str) -> dict[str, Any]:
        """The part that every row of a feed has."""
        return {
            "proxy_wallet": self._sandbox.world.wallet.address,
            "timestamp": operation.at_ms // _MS_PER_S,
            "condition_id": operation.condition_id,
            "token_id": token,
            "title": "" if market is None else market.question,
            "slug": "" if market is None else market.slug,
            "icon": "",
            "event_slug": "",
            "outcome": "" if market is None else market.outcome_of(token),
            "outcome_index": 999 if market is None else market.index_of(token),
            "name": "sandbox",
            "profile_image": "",
            "transaction_hash": operation.transaction_hash,
        }

    def _operations(self) -> list[Operation]:
        if not is_ours(self._sandbox):
            return []
        start, end = (request().args.get(name) for name in ("start", "end"))
        condition = request().args.get("condition", "").lower()
        return [
            operation
            for operation in self._sandbox.world.published.operations_until(shown_block(self._sandbox))
            if (not condition or operation.condition_id in condition.split(","))
            and (not start or operation.at_ms >= int(start) * _MS_PER_S)
            and (not end or operation.at_ms <= int(end) * _MS_PER_S)
        ]

    def _resolutions(self) -> list[dict[str, Any]]:
        wanted = request().args.get("condition", "").lower().split(",")
        markets = [self._sandbox.world.directory.by_condition.get(condition) for condition in wanted]
        return [_resolution(market) for market in markets if market is not None and market.closed]

    def _value(self) -> Answer:
        rows = self._positions.all_rows(0)
        value = round(sum(row["current_value"] for row in rows), 4)
        return answer({"data": {"proxy_wallet": self._sandbox.world.wallet.address, "value": value}})

    def _status(self) -> Answer:
        chain, block = self._sandbox.world.chain, shown_block(self._sandbox)
        shown = chain.block(block) or chain.head
        lag = max(0, self._sandbox.clock.now_ms() // _MS_PER_S - shown.timestamp_s)
        behind = chain.head.number - block
        mechanisms = [
            {"name": "activity_feed", "age_seconds": lag},
            {"name": "custody_balances", "age_seconds": lag, "blocks_behind": behind},
        ]
        serving = {"lag_seconds": lag, "worst": "activity_feed", "mechanisms": mechanisms}
        ingestion = {
            "cursors": 1,
            "network": "polygon",
            "chain_id": 137,
            "max_synced_block": block,
            "min_synced_block": block,
        }
        computed = _iso(self._sandbox.clock.now_ms())
        return answer({"data": {"computed_at": computed, "age_seconds": 0, "serving": serving, "ingestion": ingestion}})


def _resolution(market: Market) -> dict[str, Any]:
    payouts = market.payouts or (0, 0)
    return {
        "condition_id": market.condition_id,
        "status": "resolved",
        "extended_review": False,
        "was_disputed": False,
        "new_version_q": False,
        "transaction_hash": "",
        "log_index": "",
        "last_update_timestamp": _iso(market.resolved_ms),
        "payouts": [ONE * payout // sum(payouts) for payout in payouts],
        "resolution_source": "reported",
        "was_arbitrated": False,
        "resolved_block": market.resolved_block,
        "resolved_at": _iso(market.resolved_ms),
    }


def _refusal(message: str, parameter: str) -> Answer:
    body = {"error": message, "code": "invalid_request", "retryable": False, "trace_id": "0", "parameter": parameter}
    return answer(body, 400)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // _MS_PER_S, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
