"""The world of real contracts: the stage, with a wallet of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import msgspec

from polymarket.settings import PolymarketSettings
from portfolio.facts import Side as OrderSide
from portfolio.labelling_book import TokenBook
from service.config.outside import token_book
from tests.evm.stage import Event, Market, Side, Stage, Terms, Wallet
from tests.evm.stage.log import BURN
from tests.evm.worlds.base import Bargain, Question, World

ACTING = ("collateral_adapter", "outcome_token_factory")
"""Contracts that act for a wallet, one of each for either kind of market."""

FEE_RATE = 40_000
"""What takers pay, where nothing else is said."""


class StagedWorld(World):
    """``fee_rates`` are those of questions by name, where they are to be those of another world.

    ``opened`` makes the wallet, where it is not to be a plain one.
    """

    def __init__(
        self,
        stage: Stage,
        fee_rates: Mapping[str, int] | None = None,
        opened: Callable[[Stage], Wallet] = Stage.wallet,
    ) -> None:
        settings, birth = PolymarketSettings(**stage.chain_settings), stage.head + 1
        self.account = opened(stage)
        super().__init__(settings, self.account.address, birth)
        self.stage = stage
        self._fee_rates = fee_rates or {}
        self._markets: dict[str, Market] = {}
        self._events: dict[str, Event] = {}

    @property
    def addresses(self) -> TokenBook:
        """Those of the settings; in the place of Polymarket's known ones on Polygon those that are deployed here."""
        book, address = token_book(self.settings), self.stage.address
        acting = [f"{prefix}{name}" for prefix in ("", "neg_risk_") for name in ACTING] + ["ramp", "vault"]
        return msgspec.structs.replace(
            book,
            protocol=book.protocol | {address(name).lower() for name in (*acting, "auto_redeemer")},
            burns=frozenset({BURN.lower()}),
            fee_receivers=frozenset({address("fee_receiver").lower()}),
        )

    # What can be held

    def market(self) -> Question:
        return self._taken_in(self.stage.market())

    def event(self, fee_bips: int = 0) -> tuple[Question, ...]:
        """Conversions may cost a fee here."""
        event = self.stage.event(3, fee_bips)
        return tuple(self._taken_in(each, event, index) for index, each in enumerate(event.markets))

    def _taken_in(self, market: Market, event: Event | None = None, index: int | None = None) -> Question:
        name = f"question {len(self._markets)}"
        question = Question(
            name=name,
            condition_id="0x" + market.condition.hex(),
            tokens=(str(market.tokens[0]), str(market.tokens[1])),
            fee_rate=self._fee_rates.get(name, FEE_RATE),
            event="0x" + event.market_id.hex() if event else "",
            index=index,
        )
        self.questions[name] = question
        self._markets[name] = market
        if event:
            self._events[question.event] = event
        return question

    def contract_market(self, question: Question) -> Market:
        """As the stage knows it."""
        return self._markets[question.name]

    def resolve(self, question: Question, payouts: tuple[int, int]) -> None:
        self.stage.resolve(self.contract_market(question), payouts)

    # What the wallet does with its positions

    def split(self, question: Question, micro: int, *, direct: bool = False) -> None:
        (self.account.split_directly if direct else self.account.split)(self.contract_market(question), micro)

    def merge(self, question: Question, micro: int, *, direct: bool = False) -> None:
        (self.account.merge_directly if direct else self.account.merge)(self.contract_market(question), micro)

    def redeem(self, question: Question, *, direct: bool = False, operator: bool = False) -> None:
        own = self.account.redeem_directly if direct else self.account.redeem
        (self.account.auto_redeem if operator else own)(self.contract_market(question))

    def convert(self, given: Sequence[Question], micro: int, *, direct: bool = False) -> None:
        indices = {question.index for question in given if question.index is not None}
        convert = self.account.convert_directly if direct else self.account.convert
        convert(self._events[given[0].event], indices, micro)

    # What comes and goes

    def move(self, question: Question, outcome: int, micro: int) -> None:
        transfer = self.account.transfer_in if micro > 0 else self.account.transfer_out
        transfer(self.contract_market(question).tokens[outcome], abs(micro))

    def pay(self, bucket: str, micro: int) -> None:
        (self.account.deposit if micro > 0 else self.account.withdraw)(abs(micro), bucket)

    def ramp(self, micro: int) -> None:
        house, usdc = self.stage.house, self.stage.address("usdc_e")
        if micro > 0:
            house._do("ramp", "wrap", usdc, self.account.address, micro)
        else:
            self.account._do("ramp", "unwrap", usdc, house.address, -micro)

    def wrap(self, micro: int) -> None:
        (self.account.wrap if micro > 0 else self.account.unwrap)(abs(micro))

    def trade(self, bargain: Bargain) -> str:
        """An own order and an external one differ in nothing but who has seen it: nobody here has."""
        terms = Terms(
            market=self.contract_market(bargain.question),
            side=Side.BUY if bargain.side is OrderSide.BUY else Side.SELL,
            shares=bargain.shares,
            outcome=bargain.outcome,
            price=bargain.price,
            fee=bargain.fee,
            across=bargain.across,
            order_hash=self.stage.fresh_hash(),
        )
        (self.account.fill_as_taker if bargain.took else self.account.fill_as_maker)(terms)
        return terms.order_hash

    # Blocks

    def mine(self, blocks: int) -> None:
        self.stage.mine(blocks)

    def together(self) -> AbstractContextManager[None]:
        return self.stage.together()

    def reorganise(self, depth: int, *, again: bool, later: int = 1) -> None:
        """As many blocks as there were, so what would come after the last one comes into that."""
        first = self.stage.head - depth + 1
        places = {
            transaction: min(depth - 1, place + later)
            for place, block in enumerate(self.blocks(first, first + depth - 1))
            for transaction in block["transactions"]
        }
        gone = self.stage.reorganise(depth, places if again else {})
        assert bool(gone) is (bool(places) and not again)
