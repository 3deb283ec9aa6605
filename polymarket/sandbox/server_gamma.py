"""Gamma: market and event metadata, with its arrays written as strings that hold JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from polymarket.sandbox.amounts import ONE, decimal_text
from polymarket.sandbox.markets import Event, Market
from polymarket.sandbox.server_faults import met
from polymarket.sandbox.server_pages import BadCursorError, cut, decode_offset, encode_offset
from polymarket.sandbox.server_request import Answer, answer, request
from polymarket.sandbox.server_state import Route, Sandbox

_LARGEST_PAGE = 100


class GammaApi:
    """Views of Gamma."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Every path."""
        return [
            ("GET", "/markets", self._listing("markets", keyset=False)),
            ("GET", "/markets/keyset", self._listing("markets", keyset=True)),
            ("GET", "/events", self._listing("events", keyset=False)),
            ("GET", "/events/keyset", self._listing("events", keyset=True)),
            ("GET", "/markets/<market_id>", self._one),
            ("GET", "/markets/slug/<slug>", self._by_slug),
        ]

    def frozen(self) -> dict[str, Any]:
        """What is resolved by now; a ``stale`` Gamma knows of nothing later."""
        return {"closed": [m.condition_id for m in self._sandbox.world.directory.markets if m.closed]}

    def _listing(self, name: str, *, keyset: bool) -> Callable[[], Answer]:
        def view() -> Answer:
            rows = self._market_rows() if name == "markets" else self._event_rows()
            try:
                size = min(_LARGEST_PAGE, int(request().args.get("limit", "20")))
                cursor = request().args.get("after_cursor")
                offset = decode_offset(cursor) if cursor else int(request().args.get("offset", "0"))
                page = cut(rows, offset, size)
            except (BadCursorError, ValueError) as error:
                return answer({"type": "validation error", "error": str(error)}, 422)
            if not keyset:
                return answer(list(page.rows))
            following = {} if page.following is None else {"next_cursor": encode_offset(page.following)}
            return answer({name: list(page.rows), **following})

        return view

    def _one(self, market_id: str) -> Answer:
        return self._found(lambda market: market.market_id == market_id)

    def _by_slug(self, slug: str) -> Answer:
        return self._found(lambda market: market.slug == slug)

    def _found(self, wanted: Callable[[Market], bool]) -> Answer:
        for market in self._sandbox.world.directory.markets:
            if wanted(market):
                return answer(self._market_row(market))
        return answer({"type": "not found error", "error": "id not found"}, 404)

    def _market_rows(self) -> list[dict[str, Any]]:
        """Markets that meet the filters; resolved ones only with ``closed=true``, as on the real service."""
        conditions = {condition.lower() for condition in request().args.getlist("condition_ids")}
        tokens = set(request().args.getlist("clob_token_ids"))
        slugs, ids = set(request().args.getlist("slug")), set(request().args.getlist("id"))
        questions = {question.lower() for question in request().args.getlist("question_ids")}
        closed = request().args.get("closed", "false") == "true"
        return [
            self._market_row(market)
            for market in self._sandbox.world.directory.markets
            if self._is_closed(market) is closed
            and (not conditions or market.condition_id in conditions)
            and (not tokens or not tokens.isdisjoint(market.tokens))
            and (not slugs or market.slug in slugs)
            and (not ids or market.market_id in ids)
            and (not questions or market.question_id in questions)
        ]

    def _event_rows(self) -> list[dict[str, Any]]:
        slugs, ids = set(request().args.getlist("slug")), set(request().args.getlist("id"))
        closed = request().args.get("closed", "false") == "true"
        return [
            {**_event_row(event), "markets": [self._market_row(market) for market in event.markets]}
            for event in self._sandbox.world.directory.events
            if all(self._is_closed(market) for market in event.markets) is closed
            and (not slugs or event.slug in slugs)
            and (not ids or event.event_id in ids)
        ]

    def _is_closed(self, market: Market) -> bool:
        stale = met("stale")
        if stale is None:
            return market.closed
        stale.hit()
        return market.condition_id in stale.frozen["closed"]

    def _market_row(self, market: Market) -> dict[str, Any]:
        event = self._sandbox.world.directory.event_of[market.condition_id]
        closed = self._is_closed(market)
        v2 = market.version == "v2"
        tokens = _stated_tokens(market)
        row = {
            "id": market.market_id,
            "question": market.question,
            "conditionId": market.condition_id,
            "slug": market.slug,
            "questionID": market.question_id,
            "outcomes": _packed(market.outcomes),
            "outcomePrices": _packed([decimal_text(market.price_of(token)) for token in market.tokens]),
            "clobTokenIds": _packed([] if v2 else tokens),
            "positionIds": list(tokens) if v2 else None,
            "version": market.version,
            "active": True,
            "closed": closed,
            "archived": False,
            "acceptingOrders": not closed,
            "enableOrderBook": True,
            "endDate": "2027-12-31T00:00:00Z",
            "umaResolutionStatus": "resolved" if closed else "",
            "orderMinSize": market.minimum_size // ONE,
            "orderPriceMinTickSize": market.tick / ONE,
            "groupItemTitle": market.question,
            "groupItemThreshold": str(market.question_index),
            "negRisk": market.claimed_neg_risk,
            "feesEnabled": market.fee_rate > 0,
            "feeType": "sandbox",
            "feeSchedule": _fee_schedule(market),
            "events": [_event_row(event)],
        }
        if market.claimed_neg_risk:
            row["negRiskMarketID"] = market.neg_risk_market_id
        return row


def _stated_tokens(market: Market) -> tuple[str, ...]:
    """The tokens of the outcomes, or each other's where a fault says so: of all markets, or of the one it names."""
    swapped = met("swapped_tokens")
    named = "" if swapped is None else swapped.spec.value.strip('"').lower()
    if swapped is None or (named.startswith("0x") and named != market.condition_id):
        return market.tokens
    swapped.hit()
    return market.tokens[::-1]


def _event_row(event: Event) -> dict[str, Any]:
    """An event; it denies its neg-risk id as soon as one of its markets does."""
    claimed = event.neg_risk_market_id is not None and all(market.claimed_neg_risk for market in event.markets)
    row: dict[str, Any] = {
        "id": event.event_id,
        "slug": event.slug,
        "title": event.title,
        "negRisk": claimed,
        "enableNegRisk": claimed,
        "negRiskAugmented": False,
        "negRiskFeeBips": event.fee_bips,
        "version": event.markets[0].version if event.markets else "v1",
    }
    return {**row, "negRiskMarketID": event.neg_risk_market_id} if claimed else row


def _fee_schedule(market: Market) -> dict[str, Any]:
    return {"rate": market.fee_rate / ONE, "exponent": market.fee_exponent, "takerOnly": True, "rebateRate": 0.25}


def _packed(texts: Sequence[str]) -> str:
    return msgspec.json.encode(list(texts)).decode()
