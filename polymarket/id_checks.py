"""Whether the token ids of metadata are the contract's, asked of ConditionalTokens beside the balances (R-18, R-06).

Two of its views make an id: ``getCollectionId`` of condition and index set, ``getPositionId`` of collateral and
collection. Both are asked in one go, the second with the collection that is computed here: where the contract's
collection is the same, both steps are the contract's own; where it is not, the id follows from the contract's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from eth_utils.crypto import keccak

from polymarket import position_ids
from polymarket.chain_calls import WORD, Call
from polymarket.settings import PolymarketSettings
from portfolio.facts import ConditionTokens, TokenIdCheck

_COLLECTION_ID = keccak(text="getCollectionId(bytes32,bytes32,uint256)")[:4]
_POSITION_ID = keccak(text="getPositionId(address,bytes32)")[:4]
_NO_PARENT = b"\0" * WORD


class _Question(msgspec.Struct, frozen=True):
    """One outcome of a condition: the collection as computed here, and the two calls."""

    collateral: str
    collection: str
    calls: tuple[Call, Call]


class IdChecks:
    """The calls that check token ids, and what their answers say.

    ``asking`` False: the endpoint takes no such calls, and everything is answered as not checked.
    """

    def __init__(self, settings: PolymarketSettings, stated: Sequence[ConditionTokens], *, asking: bool) -> None:
        self._checks = [(one, _questions(settings, one) if asking else ()) for one in stated]

    @property
    def calls(self) -> list[Call]:
        """Two calls for each outcome."""
        return [call for _, questions in self._checks for question in questions for call in question.calls]

    def answers(self, values: Iterator[int]) -> tuple[TokenIdCheck, ...]:
        """What the results of the calls, in their order, say of each condition."""
        return tuple(
            TokenIdCheck(condition_id=one.condition_id, stated=one.token_ids, computed=_computed(questions, values))
            for one, questions in self._checks
        )


def _questions(settings: PolymarketSettings, stated: ConditionTokens) -> tuple[_Question, ...]:
    """None where the ids cannot be computed: no such collateral is configured, or the condition id is none."""
    collateral = settings.wrapped_collateral if stated.neg_risk else settings.usdc_e
    try:
        position_ids.token_ids(stated.condition_id, collateral)
    except ValueError:
        return ()
    return tuple(
        _question(settings.conditional_tokens, stated.condition_id, collateral, 1 << outcome)
        for outcome in range(len(stated.token_ids))
    )


def _question(contract: str, condition_id: str, collateral: str, index_set: int) -> _Question:
    collection = position_ids.collection_id(condition_id, index_set)
    name = f"token ids of {condition_id}"
    words = (_NO_PARENT, _word(condition_id), index_set.to_bytes(WORD, "big"))
    return _Question(
        collateral,
        collection,
        (
            Call(name=name, target=contract, data=_COLLECTION_ID + b"".join(words), hashed=True),
            Call(name=name, target=contract, data=_POSITION_ID + _word(collateral) + _word(collection), hashed=True),
        ),
    )


def _computed(questions: Sequence[_Question], values: Iterator[int]) -> tuple[str, ...]:
    """The contract's ids by outcome; none where it did not answer for every one."""
    ids: list[str] = []
    unanswered = False
    for question in questions:
        collection, position = next(values), next(values)
        unanswered = unanswered or not (collection and position)
        if collection != int(question.collection, 16):
            position = int(position_ids.position_id(question.collateral, f"0x{collection:064x}"))
        ids.append(str(position))
    return () if unanswered else tuple(ids)


def _word(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")).rjust(WORD, b"\0")
