"""Reader of market metadata: Gamma first, the CLOB for what Gamma does not know (yet).

Sans-I/O. A listing shows open markets only unless asked for closed ones, so both are asked for. The neg-risk flag is
checked against the token ids, which hash the collateral they stand on (R-06, R-18).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar
from urllib.parse import quote

import msgspec

from messages.reads import MarketsAnswer, ReadMarkets
from polymarket import position_ids
from polymarket.payloads import (
    RejectedRow,
    TokenContracts,
    decode_gamma_markets,
    decode_single,
    decode_token_parent,
    parse_clob_market,
    parse_gamma_market,
    question_index,
)
from polymarket.reading import Findings, ReadContext, ReadResult, Trace, conclude, expect_json, expect_ok, is_unknown
from polymarket.requests import HttpReply, HttpRequest, ReadError, Steps
from polymarket.settings import PolymarketSettings
from portfolio.facts import MarketMeta, Source

_IDS_PER_CALL = 50
_LIMIT = "100"

D = TypeVar("D")


def read_markets(settings: PolymarketSettings, read: ReadMarkets, context: ReadContext) -> Steps[ReadResult]:
    """Metadata of the asked conditions and tokens, by condition id; what nobody knows is absent.

    A lookup at the CLOB that failed leaves the verdict PARTIAL: then an absent id may be known after all.
    """

    def body(trace: Trace) -> Steps[Findings]:
        collected = _Collected(settings, read)
        requests = _gamma_requests(settings, read)
        responses = yield from trace.ask_all(requests)
        for request, response in zip(requests, responses, strict=True):
            for raw in expect_json(request, response, decode_gamma_markets):
                collected.add(parse_gamma_market(raw, collected.contracts))
        pages = len(requests) + (yield from _ask_clob(trace, settings, collected))
        markets = tuple(collected.markets[key] for key in sorted(collected.markets))
        return Findings(
            rows=markets,
            answer=MarketsAnswer(markets=markets),
            parameters=_parameters(read),
            pages=pages,
            rejected=tuple(collected.rejected),
            doubts=tuple(collected.doubts),
        )

    return conclude(Source.GAMMA_MARKETS, context, body)


class _Collected:
    """What was found so far, and what is still missing."""

    def __init__(self, settings: PolymarketSettings, read: ReadMarkets) -> None:
        further = next(iter(settings.position_contracts), None)
        self.contracts = TokenContracts(v1=settings.conditional_tokens, v2=further)
        self.markets: dict[str, MarketMeta] = {}
        self.rejected: list[RejectedRow] = []
        self.doubts: list[str] = []
        self._settings = settings
        self._conditions = {condition.lower() for condition in read.condition_ids}
        self._tokens = set(read.token_ids)

    def add(self, market: MarketMeta | RejectedRow) -> None:
        """Keep a market that was asked for. A listing that ignored its filter shows others: those are dropped."""
        if isinstance(market, RejectedRow):
            self.rejected.append(market)
        elif market.condition_id in self._conditions or any(t.token_id in self._tokens for t in market.tokens):
            self.markets[market.condition_id] = with_derived_flag(market, self._settings)

    def want(self, condition_id: str) -> None:
        """A condition that a token turned out to belong to."""
        self._conditions.add(condition_id)

    def missing_conditions(self) -> list[str]:
        return sorted(self._conditions - self.markets.keys())

    def missing_tokens(self) -> list[str]:
        known = {token.token_id for market in self.markets.values() for token in market.tokens}
        return sorted(self._tokens - known)


def with_derived_flag(market: MarketMeta, settings: PolymarketSettings) -> MarketMeta:
    """The market with what its token ids prove about neg-risk, and its neg-risk id and index where it is one."""
    derived = position_ids.derive_neg_risk(
        market.condition_id,
        tuple(token.token_id for token in market.tokens),
        usdc_e=settings.usdc_e,
        wrapped_collateral=settings.wrapped_collateral,
    )
    market = msgspec.structs.replace(market, neg_risk_derived=derived)
    if not market.neg_risk:
        return market
    return msgspec.structs.replace(
        market,
        neg_risk_market_id=market.neg_risk_market_id or _market_of(market.question_id),
        question_index=question_index(market.question_id),
    )


def _market_of(question_id: str) -> str | None:
    """The neg-risk id in a question id; None where that is no id, and the market stays on its own (D-01)."""
    try:
        return position_ids.neg_risk_market_id(question_id)
    except ValueError:
        return None


def _gamma_requests(settings: PolymarketSettings, read: ReadMarkets) -> tuple[HttpRequest, ...]:
    asked = [("condition_ids", ids) for ids in _chunks(read.condition_ids)]
    asked += [("clob_token_ids", ids) for ids in _chunks(read.token_ids)]
    return tuple(
        HttpRequest(
            label="GET /markets/keyset",
            url=settings.gamma_url.rstrip("/") + "/markets/keyset",
            params=(*((name, one) for one in ids), ("closed", closed), ("limit", _LIMIT)),
        )
        for name, ids in asked
        for closed in ("false", "true")
    )


def _ask_clob(trace: Trace, settings: PolymarketSettings, collected: _Collected) -> Steps[int]:
    """Look up what Gamma did not know; returns the number of calls."""
    base = settings.clob_url.rstrip("/")
    parents = [_clob_request(base, "/markets-by-token/", token) for token in collected.missing_tokens()]
    for request, reply in zip(parents, (yield from trace.try_all(parents)), strict=True):
        parent = _answer(collected, request, reply, decode_token_parent)
        if parent is not None:
            collected.want(parent)
    lookups = [_clob_request(base, "/markets/", condition) for condition in collected.missing_conditions()]
    for request, reply in zip(lookups, (yield from trace.try_all(lookups)), strict=True):
        market = _answer(collected, request, reply, decode_single)
        if market is not None:
            collected.add(parse_clob_market(market, collected.contracts))
    return len(parents) + len(lookups)


def _clob_request(base: str, path: str, name: str) -> HttpRequest:
    return HttpRequest(label=f"GET {path}{{id}}", url=f"{base}{path}{quote(name, safe='')}")


def _answer(
    collected: _Collected, request: HttpRequest, reply: HttpReply, decode: Callable[[bytes], D | None]
) -> D | None:
    """What a reply holds; None where the CLOB does not know it, or cannot be believed, which is noted."""
    if is_unknown(reply):
        return None
    try:
        return expect_json(request, expect_ok(request, reply), decode)
    except ReadError as error:
        collected.doubts.append(f"a look-up failed: {error.detail}")
        return None


def _chunks(ids: Iterable[str]) -> Iterator[Sequence[str]]:
    rest = iter(dict.fromkeys(ids))
    while chunk := tuple(islice(rest, _IDS_PER_CALL)):
        yield chunk


def _parameters(read: ReadMarkets) -> tuple[tuple[str, str], ...]:
    conditions = (("condition_id", one) for one in read.condition_ids)
    return (*conditions, *(("token_id", one) for one in read.token_ids))
