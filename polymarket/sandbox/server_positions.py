"""Positions as the Data API v2 shows them: rounded, perhaps behind the chain, by Polymarket's own accounting."""

from __future__ import annotations

from typing import Any

from polymarket.sandbox.amounts import ONE, parse_decimal, rounded
from polymarket.sandbox.markets import Market
from polymarket.sandbox.published import TokenView
from polymarket.sandbox.server_faults import met
from polymarket.sandbox.server_request import request
from polymarket.sandbox.server_state import Sandbox

_MS_PER_S = 1000
_DEFAULT_LAG = 30


def shown_block(sandbox: Sandbox) -> int:
    """The block that the present request shows: the head less the lag, or that of a fault."""
    head = sandbox.world.chain.head.number - sandbox.data_lag_blocks
    stale, lagging = met("stale"), met("lagging")
    if stale is not None:
        stale.hit()
        head = int(stale.frozen["block"])
    if lagging is not None:
        lagging.hit()
        head -= lagging.spec.blocks or _DEFAULT_LAG
    return max(sandbox.world.chain.first_number, head)


def is_ours(sandbox: Sandbox) -> bool:
    """Whether the request asks for the wallet; of others nothing is known."""
    return request().args.get("user", "").lower() == sandbox.world.wallet.address


class Positions:
    """The rows of ``/v2/positions``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def rows(self) -> list[dict[str, Any]]:
        """By size or value; without ``filter_amount=0`` dust is hidden, as on the real service."""
        smallest = parse_decimal(request().args.get("filter_amount", "0.1"))
        status = request().args.get("status", "OPEN")
        found = [row for row in self.all_rows(smallest) if _has_status(row, status)]
        key = "current_size" if request().args.get("sort_by") == "TOKENS" else "current_value"
        return sorted(found, key=lambda row: (-row[key], row["token_id"]))

    def all_rows(self, smallest: int) -> list[dict[str, Any]]:
        """Every token that was ever held; of those still held, the ones of at least ``smallest`` (1e-6)."""
        world, block = self._sandbox.world, shown_block(self._sandbox)
        if not is_ours(self._sandbox):
            return []
        rows = []
        for token in world.published.tokens():
            market, view = world.directory.by_token[token], world.published.view(token, block)
            size = world.balance(market, token, block)
            if view is not None and (size == 0 or size >= smallest):
                rows.append(self._row(market, token, view, size))
        return rows

    def _row(self, market: Market, token: str, view: TokenView, size: int) -> dict[str, Any]:
        other = market.opposite(token)
        return {
            "proxy_wallet": self._sandbox.world.wallet.address,
            "token_id": token,
            "condition_id": market.condition_id,
            **_money(view, size, market.price_of(token)),
            "status": "OPEN" if size else "CLOSED",
            "redeemable": market.closed and size > 0,
            "mergeable": self._sandbox.world.balance(market, other) > 0 and size > 0,
            "negative_risk": market.claimed_neg_risk,
            "archived": False,
            **self._names(market),
            "outcome": market.outcome_of(token),
            "outcome_index": market.index_of(token),
            "opposite_outcome": market.outcome_of(other),
            "opposite_token_id": other,
            "end_date": "2027-12-31",
            "last_event_at": view.last_ms // _MS_PER_S,
            "first_entry_at": view.first_ms // _MS_PER_S,
            "name": "sandbox",
            "profile_image": "",
            "verified": False,
        }

    def _names(self, market: Market) -> dict[str, str]:
        event = self._sandbox.world.directory.event_of[market.condition_id]
        return {
            "title": market.question,
            "slug": market.slug,
            "icon": "",
            "event_id": event.event_id,
            "event_slug": event.slug,
        }


def _money(view: TokenView, size: int, price: int) -> dict[str, float]:
    """Sizes, costs and gains, rounded as the real service rounds; the entry cost is average × size, without fees."""
    cost, value = view.average * size // ONE, price * size // ONE
    gain = value - cost
    percent = round(100 * gain / cost, 4) if cost else 0.0
    return {
        "current_size": rounded(size, 4),
        "avg_price": rounded(view.average, 4),
        "entry_cost_usdc": rounded(cost, 4),
        "entry_fees_usdc": rounded(view.fees, 5),
        "total_cost_usdc": rounded(cost + view.fees, 5),
        "current_price": rounded(price, 4),
        "current_value": rounded(value, 4),
        "total_size": rounded(view.bought, 4),
        "realized_pnl": rounded(view.realized, 4),
        "unrealized_pnl": rounded(gain, 4),
        "total_pnl": rounded(gain + view.realized, 4),
        "percent_pnl": percent,
        "percent_realized_pnl": percent,
    }


def _has_status(row: dict[str, Any], status: str) -> bool:
    if status == "CLOSED":
        return bool(row["status"] == "CLOSED")
    flags = {"REDEEMABLE": "redeemable", "MERGEABLE": "mergeable"}
    return bool(row["status"] == "OPEN" and (status not in flags or row[flags[status]]))
