"""The logs of a transaction, written one by one, with what each wallet should be told of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from portfolio.chain import (
    ChainChange,
    ChainLog,
    ChainTransaction,
    ChangeKind,
    CollateralTransfer,
    CollateralWrapped,
    ConditionResolved,
    TokenTransfer,
)
from portfolio.labelling_book import NOBODY, TokenBook, TokenPlace

WALLET, SECOND_WALLET = "0xa1", "0xa2"
ALICE, BOB, CAROL = "0xb1", "0xb2", "0xb3"
CTF, NRA, WCOL, PUSD, USDC, VAULT = "0xc1", "0xc2", "0xc3", "0xc4", "0xc5", "0xc6"
ADAPTER, NEG_ADAPTER, FACTORY, ONRAMP, OFFRAMP, REDEEMER = "0xd1", "0xd2", "0xd3", "0xd4", "0xd5", "0xd6"
EXCHANGE, FEES, FEE_VAULT, REWARDS, BURN = "0xe1", "0xf1", "0xf2", "0xf3", "0xf4"
CONTRACTS = {"pusd": PUSD, "usdc_e": USDC, "wcol": WCOL}
ADAPTERS = frozenset({ADAPTER, NEG_ADAPTER, FACTORY})
EVENT = "0x0e"

Amounts = tuple[tuple[str, int], ...]
Told = tuple[ChangeKind, str, Amounts, Amounts]
"""Kind, condition or neg-risk market, legs and cash, each sorted."""


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """A condition; one of a neg-risk event where ``index`` is not None."""

    name: str
    index: int | None = None
    event: str = ""

    @property
    def yes(self) -> str:
        return f"{self.name}-yes"

    @property
    def no(self) -> str:
        return f"{self.name}-no"

    @property
    def bucket(self) -> str:
        return "usdc_e" if self.index is None else "wcol"

    @property
    def adapter(self) -> str:
        return ADAPTER if self.index is None else NEG_ADAPTER


RAIN, SNOW = Market(name="rain"), Market(name="snow")
QUESTIONS = tuple(Market(name=f"q{index}", index=index, event=EVENT) for index in range(4))


def book(*markets: Market, **given: Any) -> TokenBook:
    """What is known: these markets, and all addresses."""
    places = {
        token: TokenPlace(
            condition_id=market.name, outcome_index=side, question_index=market.index, neg_risk_market_id=market.event
        )
        for market in markets
        for side, token in enumerate((market.yes, market.no))
    }
    values: dict[str, Any] = {
        "tokens": places,
        "exchanges": frozenset({EXCHANGE}),
        "protocol": frozenset(
            {CTF, NRA, WCOL, PUSD, VAULT, ADAPTER, NEG_ADAPTER, FACTORY, ONRAMP, OFFRAMP, REDEEMER, FEES}
        ),
        "burns": frozenset({NOBODY, BURN}),
        "own": frozenset({WALLET, SECOND_WALLET}),
        "fee_receivers": frozenset({FEES}),
        "reward_senders": frozenset({REWARDS}),
    }
    return TokenBook(**(values | given))


BOOK = book(RAIN, SNOW, *QUESTIONS)


def told(change: ChainChange) -> Told:
    """A change without its evidence."""
    subject = change.condition_id or change.neg_risk_market_id
    return (change.kind, subject, tuple(sorted(change.legs)), tuple(sorted(change.cash)))


def shape(kind: ChangeKind, subject: str, legs: Iterable[tuple[str, int]], cash: Iterable[tuple[str, int]]) -> Told:
    """The same of what is expected; nothing is left out."""
    kept = [tuple(sorted((name, amount) for name, amount in pairs if amount)) for pairs in (legs, cash)]
    return (kind, subject, kept[0], kept[1])


class Writer:
    """Writes the logs of one transaction; ``expected`` is what each wallet should be told."""

    def __init__(self, first: int = 100) -> None:
        self.logs: list[ChainLog] = []
        self.index = first
        self.expected: dict[str, list[Told]] = {}

    def done(self, *, complete: bool = True) -> ChainTransaction:
        return ChainTransaction(
            transaction_hash="0xaa",
            block_number=7,
            block_hash="0xbb",
            block_time_ms=1_000,
            logs=tuple(self.logs),
            complete=complete,
        )

    def own_logs(self, wallet: str) -> ChainTransaction:
        """The transaction as far as the wallet's own logs tell it."""
        whole = self.done(complete=False)
        names = {"sender", "receiver", "maker", "stakeholder", "redeemer"}
        mine = tuple(log for log in whole.logs if wallet in {getattr(log, name, "") for name in names})
        return msgspec.structs.replace(whole, logs=mine)

    def expect(self, user: str, *told: Any) -> None:
        self.expected.setdefault(user, []).append(shape(*told))

    def emit(self, kind: type[Any], contract: str, **values: Any) -> None:
        self.logs.append(kind(log_index=self.index, contract=contract, **values))
        self.index += 1

    def tokens(self, sender: str, receiver: str, *pairs: tuple[str, int]) -> None:
        """One log, of as many tokens as given."""
        for part, (token, shares) in enumerate(pairs):
            self.logs.append(
                TokenTransfer(
                    log_index=self.index,
                    part=part,
                    contract=CTF,
                    operator=sender,
                    sender=sender,
                    receiver=receiver,
                    token_id=token,
                    shares_micro=shares,
                )
            )
        self.index += 1

    def cash(self, bucket: str, sender: str, receiver: str, amount: int) -> None:
        values = {"bucket": bucket, "sender": sender, "receiver": receiver, "amount_micro": amount}
        self.emit(CollateralTransfer, CONTRACTS[bucket], **values)

    # What users do that needs no event.

    def send_tokens(self, sender: str, receiver: str, market: Market, token: str, shares: int) -> None:
        self.tokens(sender, receiver, (token, shares))
        self.expect(sender, ChangeKind.TRANSFER_OUT, market.name, [(token, -shares)], [])
        self.expect(receiver, ChangeKind.TRANSFER_IN, market.name, [(token, shares)], [])

    def send_cash(self, sender: str, receiver: str, amount: int, bucket: str = "pusd") -> None:
        self.cash(bucket, sender, receiver, amount)
        self.expect(sender, ChangeKind.WITHDRAWAL, "", [], [(bucket, -amount)])
        kind = ChangeKind.REWARD if sender == REWARDS else ChangeKind.DEPOSIT
        self.expect(receiver, kind, "", [], [(bucket, amount)])

    def resolve(self, market: Market) -> None:
        self.emit(ConditionResolved, CTF, condition_id=market.name, numerators=(1, 0))

    # Ramps.

    def wrap_to(self, caller: str, user: str, amount: int) -> None:
        """Bridged USDC of the caller becomes pUSD of the user."""
        self.cash("usdc_e", caller, PUSD, amount)
        self.cash("pusd", NOBODY, user, amount)
        self.cash("usdc_e", PUSD, VAULT, amount)
        by = caller if caller in ADAPTERS else ONRAMP
        self.emit(CollateralWrapped, PUSD, caller=by, asset=USDC, receiver=user, amount_micro=amount, unwrapped=False)

    def unwrap_to(self, user: str, caller: str, amount: int) -> None:
        """PUSD of the user becomes bridged USDC of the caller."""
        self.cash("pusd", user, PUSD, amount)
        self.cash("usdc_e", VAULT, caller, amount)
        self.cash("pusd", PUSD, NOBODY, amount)
        by = caller if caller in ADAPTERS else OFFRAMP
        self.emit(CollateralWrapped, PUSD, caller=by, asset=USDC, receiver=caller, amount_micro=amount, unwrapped=True)

    def wrap(self, user: str, amount: int) -> None:
        self.wrap_to(user, user, amount)
        self.expect(user, ChangeKind.WRAP, "", [], [("usdc_e", -amount), ("pusd", amount)])

    def unwrap(self, user: str, amount: int) -> None:
        self.unwrap_to(user, user, amount)
        self.expect(user, ChangeKind.WRAP, "", [], [("usdc_e", amount), ("pusd", -amount)])

    def unwrap_wcol(self, user: str, amount: int) -> None:
        """Wrapped collateral has no event of its own."""
        self.cash("wcol", user, NOBODY, amount)
        self.cash("usdc_e", WCOL, user, amount)
        self.expect(user, ChangeKind.WRAP, "", [], [("wcol", -amount), ("usdc_e", amount)])
