"""The world of the sandbox's process: what happens is asked for at its control port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from polymarket.sandbox.actions import (
    AnyAction,
    Convert,
    Deposit,
    ExternalTrade,
    FillOrder,
    Merge,
    Place,
    Redeem,
    Reorganise,
    Resolve,
    SetPrice,
    Split,
    TransferIn,
    TransferOut,
    Unwrap,
    Withdraw,
    Wrap,
)
from polymarket.sandbox.amounts import decimal_text
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import FAK
from polymarket.settings import PolymarketSettings
from portfolio.facts import Side
from portfolio.labelling_book import TokenBook
from service.config.outside import token_book
from tests.evm.worlds.base import DEEPEST, ONE, Bargain, Question, World

OPTIONS = WorldOptions(activity=False, markets=96, events=24, orders=0, finality_blocks=DEEPEST + 2)
"""Nothing happens by itself, no own order is in the way, and the deepest reorganisation reaches no finalized block."""

TICK = 10_000
_HISTORY = 6
"""The wallet has a history in so many markets, and in the first event."""


class SandboxWorld(World):
    """On a sandbox that was started with :data:`OPTIONS`; from now on its time stands still."""

    def __init__(self, process: SandboxProcess) -> None:
        process.control.pause()
        settings = PolymarketSettings(rpc_url=process.urls["rpc_url"], chain_id=process.info["chain_id"])
        super().__init__(settings, process.info["wallet"]["address"], 0)
        (first,) = self.ask(("eth_getBlockByNumber", ("earliest", False)))
        self.birth = int(first["number"], 16) + 1
        self.control = process.control
        self.in_one_block = False
        found = [_question(row) for row in self.control.books()["markets"]]
        markets, events = [each for each in found if not each.event], _grouped(found)
        # The makers of every second market ask by bidding for the other outcome; trade() counts on those of the others.
        self._markets, self._events = iter(markets[_HISTORY::2]), iter(events[1:])
        self._given_out = 0
        self.questions = {question.name: question for question in (*markets[:_HISTORY], *events[0])}

    @property
    def addresses(self) -> TokenBook:
        return token_book(self.settings)

    # What can be held

    def market(self) -> Question:
        return self._give_out(next(self._markets))

    def event(self) -> tuple[Question, ...]:
        return tuple(self._give_out(each) for each in next(self._events))

    def _give_out(self, question: Question) -> Question:
        named = replace(question, name=f"question {self._given_out}")
        self._given_out += 1
        self.questions[named.name] = named
        return named

    def resolve(self, question: Question, payouts: tuple[int, int]) -> None:
        self._act(Resolve(condition_id=question.condition_id, payouts=list(payouts)))

    # What the wallet does with its positions

    def split(self, question: Question, micro: int, *, direct: bool = False) -> None:
        self._act(Split(condition_id=question.condition_id, amount=decimal_text(micro), direct=direct))

    def merge(self, question: Question, micro: int, *, direct: bool = False) -> None:
        self._act(Merge(condition_id=question.condition_id, amount=decimal_text(micro), direct=direct))

    def redeem(self, question: Question, *, direct: bool = False, operator: bool = False) -> None:
        self._act(Redeem(condition_id=question.condition_id, direct=direct, operator=operator))

    def convert(self, given: Sequence[Question], micro: int, *, direct: bool = False) -> None:
        indices = [question.index for question in given if question.index is not None]
        event = given[0].event
        self._act(
            Convert(neg_risk_market_id=event, questions=indices, amount=decimal_text(micro), direct=direct),
        )

    # What comes and goes

    def move(self, question: Question, outcome: int, micro: int) -> None:
        transfer = TransferIn if micro > 0 else TransferOut
        self._act(transfer(token_id=question.tokens[outcome], amount=decimal_text(abs(micro))))

    def pay(self, bucket: str, micro: int) -> None:
        transfer = TransferIn if micro > 0 else TransferOut
        self._act(transfer(asset=bucket, amount=decimal_text(abs(micro))))

    def ramp(self, micro: int) -> None:
        self._act((Deposit if micro > 0 else Withdraw)(amount=decimal_text(abs(micro))))

    def wrap(self, micro: int) -> None:
        self._act((Wrap if micro > 0 else Unwrap)(amount=decimal_text(abs(micro))))

    def trade(self, bargain: Bargain) -> str:
        if not bargain.own:
            return self.trade_elsewhere(bargain)
        if bargain.took:
            return self._take(bargain)
        order_id = self.rest(bargain)
        self._act(FillOrder(order_id=order_id, cross=bargain.across))
        return order_id

    def trade_elsewhere(self, bargain: Bargain, *, listed: bool = True) -> str:
        """The other client's order; where it is not ``listed``, the chain alone shows it."""
        assert not bargain.across, "the other client trades one token only"
        role = "TAKER" if bargain.took else "MAKER"
        done = self._act(ExternalTrade(**_terms(bargain), role=role, listed=listed))
        return str(done[f"{role.lower()}_order_id"])

    def rest(self, bargain: Bargain) -> str:
        """The order, which meets no quote yet."""
        self._quote(bargain, away=True)
        return str(self.control.act(Place(**_terms(bargain)))["order_id"])

    def _take(self, bargain: Bargain) -> str:
        """An order that meets the makers' quotes. They bid for YES and offer YES, so NO is traded across."""
        assert bargain.across is (bargain.outcome == 1), "the makers quote YES only"
        self._quote(bargain, away=False)
        return str(self._act(Place(**_terms(bargain), order_type=FAK))["order_id"])

    def _quote(self, bargain: Bargain, *, away: bool) -> None:
        """Put the makers' quotes where the order meets one at its price, or ``away`` from it."""
        buys_yes = (bargain.side is Side.BUY) is (bargain.outcome == 0)
        price = bargain.price if bargain.outcome == 0 else ONE - bargain.price
        beside = 2 * TICK if away else -TICK
        mid = price + (beside if buys_yes else -beside)
        self.control.act(SetPrice(condition_id=bargain.question.condition_id, price=decimal_text(mid)))

    # Blocks

    def mine(self, blocks: int) -> None:
        self.control.mine(blocks)

    @contextmanager
    def together(self) -> Iterator[None]:
        self.in_one_block = True
        try:
            yield
        finally:
            self.in_one_block = False
        self.mine(1)

    def reorganise(self, depth: int, *, again: bool, later: int = 1) -> None:
        head = self.head
        taken = [each for block in self.blocks(head - depth + 1, head) for each in block["transactions"]]
        self.control.act(Reorganise(depth=depth, delay=later, drop=[] if again else taken))

    def _act(self, action: AnyAction) -> dict[str, Any]:
        done = self.control.act(action)
        if not self.in_one_block:
            self.mine(1)
            refused = self.control.books()["refused"].get(done.get("transaction_hash"))
            assert refused is None, refused
        return done


def _question(row: dict[str, Any]) -> Question:
    return Question(
        name=row["question"],
        condition_id=row["condition_id"],
        tokens=(row["tokens"][0], row["tokens"][1]),
        fee_rate=row["fee_rate_micro"],
        event=row["neg_risk_market_id"] or "",
        index=row["question_index"] if row["neg_risk_market_id"] else None,
    )


def _grouped(questions: Sequence[Question]) -> list[tuple[Question, ...]]:
    groups: dict[str, list[Question]] = {}
    for question in questions:
        if question.event:
            groups.setdefault(question.event, []).append(question)
    return [tuple(group) for group in groups.values()]


def _terms(bargain: Bargain) -> dict[str, Any]:
    return {
        "token_id": bargain.token,
        "side": bargain.side.value,
        "size": decimal_text(bargain.shares),
        "price": decimal_text(bargain.price),
    }
