"""What can happen to a wallet on either chain, and what the contracts say of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import msgspec
import requests
from eth_abi.abi import decode, encode
from eth_utils.abi import function_signature_to_4byte_selector

from polymarket.settings import PolymarketSettings
from portfolio.facts import Side
from portfolio.labelling_book import TokenBook, TokenPlace
from tests.evm.stage import Balances

ONE = 1_000_000
TIMEOUT_S = 60
DEEPEST = 10
"""No reorganisation here is deeper."""

_CENT_OF_A_CENT = 10
"""Fees are floored to five decimals (R-20)."""

Call = tuple[str, Sequence[Any]]


@dataclass(frozen=True)
class Question:
    """A binary market: YES and NO. Of a neg-risk event, ``event`` is its id and ``index`` the question's place in it.

    ``name`` says which of the questions that the world gave out it is; ``fee_rate`` is what takers pay here.
    """

    name: str
    condition_id: str
    tokens: tuple[str, str]
    fee_rate: int
    event: str = ""
    index: int | None = None

    def place(self, outcome: int) -> TokenPlace:
        """As labelling knows the token."""
        return TokenPlace(
            condition_id=self.condition_id,
            outcome_index=outcome,
            question_index=self.index,
            neg_risk_market_id=self.event,
        )


@dataclass(frozen=True, kw_only=True)
class Bargain:
    """A fill of one order of the wallet, at exactly this price per share.

    ``across``: against an order for the other outcome, so that the exchange mints or merges. Not ``own``: the order was
    placed by somebody else who has the wallet's key (R-21).
    """

    question: Question
    side: Side
    shares: int
    price: int
    outcome: int = 0
    took: bool = True
    across: bool = False
    own: bool = True

    @property
    def token(self) -> str:
        """What is traded."""
        return self.question.tokens[self.outcome]

    @property
    def sign(self) -> int:
        """Of the shares."""
        return 1 if self.side is Side.BUY else -1

    @property
    def fee(self) -> int:
        """Of takers: shares × rate × p (1 − p), floored to five decimals (R-20)."""
        exact = self.shares * self.question.fee_rate * self.price * (ONE - self.price) // ONE**3
        return exact // _CENT_OF_A_CENT * _CENT_OF_A_CENT if self.took else 0

    @property
    def cash(self) -> int:
        """What comes (+) or goes (−), with the fee."""
        return -self.sign * (self.shares * self.price // ONE) - self.fee


class World(ABC):
    """One wallet on one chain. What happens has happened in the newest block when the call returns."""

    def __init__(self, settings: PolymarketSettings, wallet: str, birth: int) -> None:
        """``birth`` is a block before which the wallet had nothing."""
        # A loaded machine is no fault of the reader.
        self.settings = msgspec.structs.replace(settings, timeout_ms=TIMEOUT_S * 1000)
        self.wallet = wallet.lower()
        self.birth = birth
        self.questions: dict[str, Question] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    # What can be held

    @abstractmethod
    def market(self) -> Question:
        """A question that nobody has asked for yet."""

    @abstractmethod
    def event(self) -> tuple[Question, ...]:
        """Three questions of a neg-risk event that nobody has asked for yet."""

    @abstractmethod
    def resolve(self, question: Question, payouts: tuple[int, int]) -> None:
        """The oracle answers; (1, 0) is YES."""

    # What the wallet does with its positions: by adapters in pUSD, or ``direct`` in bridged USDC

    @abstractmethod
    def split(self, question: Question, micro: int, *, direct: bool = False) -> None:
        """Collateral into as many YES and NO."""

    @abstractmethod
    def merge(self, question: Question, micro: int, *, direct: bool = False) -> None:
        """YES and NO into as much collateral."""

    @abstractmethod
    def redeem(self, question: Question, *, direct: bool = False, operator: bool = False) -> None:
        """All it has of an answered question into its payout; with ``operator`` somebody else does it."""

    @abstractmethod
    def convert(self, given: Sequence[Question], micro: int, *, direct: bool = False) -> None:
        """NO of some questions of an event into YES of all the others, and cash."""

    # What comes and goes

    @abstractmethod
    def move(self, question: Question, outcome: int, micro: int) -> None:
        """Shares of somebody else come (+), or go to them (−)."""

    @abstractmethod
    def pay(self, bucket: str, micro: int) -> None:
        """Cash comes (+) or goes (−) by a plain transfer; ``pusd`` or ``usdc_e``."""

    @abstractmethod
    def ramp(self, micro: int) -> None:
        """Somebody's bridged USDC becomes the wallet's pUSD (+), or the reverse (−)."""

    @abstractmethod
    def wrap(self, micro: int) -> None:
        """The wallet's bridged USDC becomes its pUSD (+), or the reverse (−)."""

    @abstractmethod
    def trade(self, bargain: Bargain) -> str:
        """Fill an order of the wallet; its id."""

    # Blocks

    @abstractmethod
    def mine(self, blocks: int) -> None:
        """As many blocks in which nothing happens."""

    @abstractmethod
    def together(self) -> AbstractContextManager[None]:
        """What happens inside comes into one block."""

    @abstractmethod
    def reorganise(self, depth: int, *, again: bool, later: int = 1) -> None:
        """Replace the newest blocks. What stood in them comes ``again``, as many blocks ``later``; or it never does."""

    def settle(self) -> None:
        """Nothing until now is taken back by what follows."""
        self.mine(DEEPEST)

    # What the node and its contracts say

    @property
    @abstractmethod
    def addresses(self) -> TokenBook:
        """The addresses by which logs are labelled; no tokens."""

    @property
    def book(self) -> TokenBook:
        """All that labelling can know."""
        places = {token: each.place(outcome) for each, outcome, token in self.tokens()}
        return msgspec.structs.replace(self.addresses, tokens=places)

    def tokens(self) -> Iterator[tuple[Question, int, str]]:
        """Question, outcome and id of all that can be held."""
        for question in self.questions.values():
            for outcome, token in enumerate(question.tokens):
                yield question, outcome, token

    @property
    def head(self) -> int:
        """Number of the newest block."""
        (number,) = self.ask(("eth_blockNumber", ()))
        return int(number, 16)

    def blocks(self, first: int, last: int) -> list[dict[str, Any]]:
        """Headers with the hashes of their transactions."""
        return self.ask(*(("eth_getBlockByNumber", (hex(number), False)) for number in range(first, last + 1)))

    def ask(self, *calls: Call) -> list[Any]:
        """Results of calls that the node must not refuse; in one request."""
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(calls)
        ]
        answers = self._session.post(self.settings.rpc_url, json=body, timeout=TIMEOUT_S).json() if body else []
        by_id = {answer["id"]: answer for answer in answers}
        refused = {calls[number][0]: answer["error"] for number, answer in by_id.items() if "error" in answer}
        assert not refused, refused
        return [by_id[number]["result"] for number in range(len(calls))]

    def balances(self, first: int, last: int) -> Mapping[int, Balances]:
        """What the contracts say of the wallet at each of these blocks: what is not zero, by token and by bucket."""
        numbers, calls = range(first, last + 1), self._calls()
        answers = self.ask(*(("eth_call", (call, hex(number))) for number in numbers for call in calls))
        each = len(calls)
        return {number: self._balances(answers[at * each : (at + 1) * each]) for at, number in enumerate(numbers)}

    def _calls(self) -> list[dict[str, str]]:
        ids = [int(token) for *_, token in self.tokens()]
        shares = ("balanceOfBatch(address[],uint256[])", [self.wallet] * len(ids), ids)
        asked: list[tuple[str, tuple[Any, ...]]] = [(self.settings.conditional_tokens, shares)]
        asked += [(address, ("balanceOf(address)", self.wallet)) for _, address in self.settings.collateral_buckets]
        return [{"to": address, "data": _encoded(*call)} for address, call in asked]

    def _balances(self, answers: Sequence[str]) -> Balances:
        shares, *cash = (bytes.fromhex(answer[2:]) for answer in answers)
        (held,) = decode(["uint256[]"], shares)
        named = zip(self.settings.collateral_buckets, cash, strict=True)
        return Balances(
            tokens={token: micro for (*_, token), micro in zip(self.tokens(), held, strict=True) if micro},
            cash={name: int.from_bytes(word) for (name, _), word in named if any(word)},
        )


def _encoded(signature: str, *arguments: Any) -> str:
    types = signature.partition("(")[2].rstrip(")").split(",")
    return "0x" + (function_signature_to_4byte_selector(signature) + encode(types, arguments)).hex()
