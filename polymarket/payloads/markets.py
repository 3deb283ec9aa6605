"""Market metadata of Gamma and of the CLOB.

A market's version decides which ids are its tokens and which contract owns their balances (R-18): ``v1`` the CTF token
ids, ``v2`` the Protocol V2 position ids. Whether the neg-risk flag is true is not decided here (R-06).
"""

from __future__ import annotations

import msgspec

from polymarket.payloads import fields
from polymarket.payloads.fields import NULL, FieldError, RejectedRow
from polymarket.payloads.money import parse_micro, parse_rounded_micro
from portfolio.facts import MarketMeta, TokenMeta

_V1, _V2 = "v1", "v2"
_LAST_BYTE = 2


class TokenContracts(msgspec.Struct, frozen=True, kw_only=True):
    """The ERC-1155 contract of each market version; None where none is configured."""

    v1: str
    v2: str | None = None

    def of_version(self, version: str) -> str:
        """The contract, or a refusal of the row."""
        contract = {_V1: self.v1, _V2: self.v2}.get(version)
        if contract is None:
            raise FieldError(f"version was {version[:20]!r}, for which no position contract is configured")
        return contract


class _FeeWire(msgspec.Struct):
    rate: msgspec.Raw = NULL
    exponent: int | None = None


class _EventWire(msgspec.Struct, rename={"neg_risk_market_id": "negRiskMarketID"}):
    neg_risk_market_id: str | None = None


class _GammaWire(
    msgspec.Struct,
    rename={
        "condition_id": "conditionId",
        "question_id": "questionID",
        "question_id_alternative": "questionId",
        "token_ids": "clobTokenIds",
        "position_ids": "positionIds",
        "outcome_prices": "outcomePrices",
        "neg_risk": "negRisk",
        "neg_risk_market_id": "negRiskMarketID",
        "fees_enabled": "feesEnabled",
        "fee_schedule": "feeSchedule",
    },
):
    condition_id: str
    closed: bool
    question_id: str | None = None
    question_id_alternative: str | None = None
    question: str | None = None
    slug: str | None = None
    version: str | None = None
    outcomes: msgspec.Raw = NULL
    outcome_prices: msgspec.Raw = NULL
    token_ids: msgspec.Raw = NULL
    position_ids: msgspec.Raw = NULL
    neg_risk: bool | None = None
    neg_risk_market_id: str | None = None
    fees_enabled: bool | None = None
    fee_schedule: _FeeWire | None = None
    events: list[_EventWire] | None = None


class _ClobTokenWire(msgspec.Struct):
    token_id: str
    outcome: str = ""
    price: msgspec.Raw = NULL


class _ClobWire(msgspec.Struct):
    condition_id: str
    closed: bool
    tokens: list[_ClobTokenWire]
    question_id: str | None = None
    question: str | None = None
    market_slug: str | None = None
    neg_risk: bool | None = None
    neg_risk_market_id: str | None = None


def parse_gamma_market(raw: msgspec.Raw, contracts: TokenContracts) -> MarketMeta | RejectedRow:
    """A market row of Gamma. ``neg_risk_derived`` is left None; the reader fills it in."""
    return fields.parse_row(raw, _GammaWire, lambda wire: _gamma(wire, contracts))


def parse_clob_market(raw: msgspec.Raw, contracts: TokenContracts) -> MarketMeta | RejectedRow:
    """A market of the CLOB's ``/markets/{condition_id}``, which shows no version: its ids tell (R-18)."""
    return fields.parse_row(raw, _ClobWire, lambda wire: _clob(wire, contracts))


def is_protocol_v2_id(token_id: str) -> bool:
    """Whether an id has the structure of a Protocol V2 position id: module 1 to 3, 64 reserved bits zero.

    A hashed CTF id looks like that with a probability of about 2e-21.
    """
    value = int(token_id)
    return value >> 248 in {1, 2, 3} and (value >> 40) & ((1 << 64) - 1) == 0


def _gamma(wire: _GammaWire, contracts: TokenContracts) -> MarketMeta:
    version = wire.version or _V1
    contract = contracts.of_version(version)
    ids = _texts("positionIds", wire.position_ids) if version == _V2 else _texts("clobTokenIds", wire.token_ids)
    outcomes = _texts("outcomes", wire.outcomes) or ("",) * len(ids)
    prices = _texts("outcomePrices", wire.outcome_prices)
    if not ids or len(outcomes) != len(ids):
        raise FieldError(f"had {len(ids)} token ids and {len(outcomes)} outcomes, expected as many of both, and some")
    tokens = tuple(
        TokenMeta(
            token_id=fields.token_id("token id", token),
            outcome=outcomes[index],
            outcome_index=index,
            contract=contract.lower(),
            price_micro=_displayed_price(prices[index]) if len(prices) == len(ids) else None,
        )
        for index, token in enumerate(ids)
    )
    question = (wire.question_id or wire.question_id_alternative or "").lower()
    event_ids = [event.neg_risk_market_id for event in wire.events or [] if event.neg_risk_market_id]
    rate, exponent = _fee(wire)
    return MarketMeta(
        condition_id=fields.hex_id("conditionId", wire.condition_id),
        question_id=question,
        title=wire.question or "",
        slug=wire.slug or "",
        version=version,
        tokens=tokens,
        neg_risk_claimed=wire.neg_risk,
        neg_risk_derived=None,
        neg_risk_market_id=(wire.neg_risk_market_id or next(iter(event_ids), "")).lower() or None,
        question_index=question_index(question) if wire.neg_risk else None,
        closed=wire.closed,
        fee_rate_micro=rate,
        fee_exponent=exponent,
    )


def _fee(wire: _GammaWire) -> tuple[int | None, int | None]:
    """Rate (1e-6) and exponent of the schedule; (0, 1) where fees are switched off; (None, None) where not told."""
    if wire.fees_enabled is False:
        return 0, 1
    if wire.fee_schedule is None:
        return None, None
    return fields.of_field("feeSchedule.rate", parse_micro, wire.fee_schedule.rate), wire.fee_schedule.exponent


def _clob(wire: _ClobWire, contracts: TokenContracts) -> MarketMeta:
    if not wire.tokens:
        raise FieldError("had no tokens")
    ids = [fields.token_id("token_id", token.token_id) for token in wire.tokens]
    version = _V2 if all(is_protocol_v2_id(token) for token in ids) else _V1
    contract = contracts.of_version(version).lower()
    tokens = tuple(
        TokenMeta(
            token_id=ids[index],
            outcome=token.outcome,
            outcome_index=index,
            contract=contract,
            price_micro=fields.of_field("price", parse_rounded_micro, token.price),
        )
        for index, token in enumerate(wire.tokens)
    )
    question = (wire.question_id or "").lower()
    return MarketMeta(
        condition_id=fields.hex_id("condition_id", wire.condition_id),
        question_id=question,
        title=wire.question or "",
        slug=wire.market_slug or "",
        version=version,
        tokens=tokens,
        neg_risk_claimed=wire.neg_risk,
        neg_risk_derived=None,
        neg_risk_market_id=(wire.neg_risk_market_id or "").lower() or None,
        question_index=question_index(question) if wire.neg_risk else None,
        closed=wire.closed,
        fee_rate_micro=None,
        fee_exponent=None,
    )


def question_index(question_id: str) -> int | None:
    """Index of a neg-risk question: the last byte of its id; None where the id is missing."""
    try:
        return int(question_id[-_LAST_BYTE:], 16)
    except ValueError:
        return None


def _texts(name: str, raw: msgspec.Raw) -> tuple[str, ...]:
    """An array of strings, which Gamma sends as a string that holds JSON, or as itself."""
    token = bytes(raw)
    if token == b"null":
        return ()
    try:
        if token[:1] == b'"':
            token = msgspec.json.decode(token, type=str).encode() or b"[]"
        return tuple(msgspec.json.decode(token, type=list[str]))
    except msgspec.MsgspecError:
        raise FieldError(f"{name} was not an array of strings") from None


def _displayed_price(text: str) -> int | None:
    return parse_rounded_micro(msgspec.json.encode(text))
