"""Ids of conditional tokens, computed as the contracts compute them (R-18, R-06).

A condition is named by its oracle, question and number of outcomes; a collection by a condition and a set of outcomes,
hashed onto the curve alt_bn128; a position (the ERC-1155 token id) by a collection and the collateral behind it. That
collateral is bridged USDC in a standard market and wrapped collateral in a neg-risk market, never pUSD: so the token
ids of a market tell which of the two it is, whatever its metadata claims.

Ids of Protocol V2 are structured, not hashed; they are no concern of this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from eth_utils.crypto import keccak

_FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
_ROOT_EXPONENT = (_FIELD + 1) // 4
_CURVE_B = 3
_ODD_BIT = 255
_SIGN_BIT = 254
_WORD = 32
_ADDRESS = 20
YES_INDEX_SET = 1
NO_INDEX_SET = 2


def condition_id(oracle: str, question_id: str, outcomes: int = 2) -> str:
    """Condition id (0x, 64 digits) of a question that ``oracle`` answers with one of ``outcomes`` outcomes."""
    packed = _bytes(oracle, _ADDRESS) + _bytes(question_id, _WORD) + outcomes.to_bytes(_WORD, "big")
    return _hex(keccak(packed))


@lru_cache(maxsize=16_384)
def collection_id(condition: str, index_set: int) -> str:
    """Collection id of a set of outcomes of a condition, without a parent collection.

    The hash is moved up to the next x of a point of y² = x³ + 3; the parity of y is taken from the hash's first bit,
    and an odd y is noted in bit 254 of the result.
    """
    start = int.from_bytes(keccak(_bytes(condition, _WORD) + index_set.to_bytes(_WORD, "big")), "big")
    odd = bool(start >> _ODD_BIT)
    x, y = _next_point(start)
    if bool(y % 2) is not odd:
        y = _FIELD - y
    if y % 2:
        x ^= 1 << _SIGN_BIT
    return _hex(x.to_bytes(_WORD, "big"))


def position_id(collateral: str, collection: str) -> str:
    """Token id (decimal text, as on the wire) of a collection that ``collateral`` stands behind."""
    return str(int.from_bytes(keccak(_bytes(collateral, _ADDRESS) + _bytes(collection, _WORD)), "big"))


def token_ids(condition: str, collateral: str) -> tuple[str, str]:
    """Token ids of the first (YES) and the second (NO) outcome of a binary condition."""
    yes, no = (collection_id(condition, index_set) for index_set in (YES_INDEX_SET, NO_INDEX_SET))
    return position_id(collateral, yes), position_id(collateral, no)


def neg_risk_market_id(question_id: str) -> str:
    """Neg-risk id of the event that a neg-risk question belongs to: the question id with its last byte zero."""
    return _hex(_bytes(question_id, _WORD)[:-1] + b"\0")


def neg_risk_question_index(question_id: str) -> int:
    """Index of a neg-risk question in its event: the last byte of its id."""
    return _bytes(question_id, _WORD)[-1]


def neg_risk_question_id(market_id: str, index: int) -> str:
    """Question id of the question with that index (0 to 255) of a neg-risk event."""
    return _hex(_bytes(market_id, _WORD)[:-1] + index.to_bytes(1, "big"))


def prepared_neg_risk_market_id(oracle: str, fee_bips: int, metadata: bytes) -> str:
    """Neg-risk id that the adapter gives an event when it is prepared: keccak of the encoded arguments, last byte 0."""
    head = _bytes(oracle, _ADDRESS).rjust(_WORD, b"\0") + fee_bips.to_bytes(_WORD, "big") + (96).to_bytes(_WORD, "big")
    padding = b"\0" * (-len(metadata) % _WORD)
    return neg_risk_market_id(_hex(keccak(head + len(metadata).to_bytes(_WORD, "big") + metadata + padding)))


def derive_neg_risk(condition: str, tokens: Sequence[str], *, usdc_e: str, wrapped_collateral: str) -> bool | None:
    """Whether the market of these tokens is neg-risk, proven by the collateral in its ids; None where neither fits.

    ``tokens`` are the market's token ids in any order. None means that the ids are not CTF ids of this condition
    (Protocol V2, or metadata of another market): then only metadata is left to ask.
    """
    for collateral, neg_risk in ((usdc_e, False), (wrapped_collateral, True)):
        try:
            fits = {int(token) for token in tokens} == {int(token) for token in token_ids(condition, collateral)}
        except ValueError:  # no such collateral is configured, or these are no ids
            continue
        if fits:
            return neg_risk
    return None


def _next_point(start: int) -> tuple[int, int]:
    """The first point of the curve whose x lies above ``start``; about every second x has one."""
    x = start
    while True:
        x = (x + 1) % _FIELD
        square = (pow(x, 3, _FIELD) + _CURVE_B) % _FIELD
        y = pow(square, _ROOT_EXPONENT, _FIELD)
        if y * y % _FIELD == square:
            return x, y


def _bytes(text: str, length: int) -> bytes:
    """Bytes of a hexadecimal text; ValueError where it is not one of that length."""
    value = bytes.fromhex(text.removeprefix("0x"))
    if len(value) != length:
        raise ValueError(f"{text[:70]} had {len(value)} bytes, expected {length}; check the id or address")
    return value


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
