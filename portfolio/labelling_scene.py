"""A transaction as one wallet sees it: its own movements, and who the other side of each is (R-19).

The movements are a stock that causes draw on. What a cause claims is gone; what nothing claims is a transfer. So the
changes add up to the movements whatever the events say (X-01, X-10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from portfolio.chain import (
    ChainChange,
    ChainTransaction,
    ChangeKind,
    CollateralTransfer,
    CollateralWrapped,
    OrderFilled,
    PayoutRedeemed,
    PositionsConverted,
    PositionsMerged,
    PositionSplit,
    TokenTransfer,
)
from portfolio.labelling_book import NOBODY, TokenBook, TokenPlace

CauseEvent: TypeAlias = PositionSplit | PositionsMerged | PayoutRedeemed | PositionsConverted


class Leg(msgspec.Struct, kw_only=True):
    """A movement of the wallet, or what is left of it: ``amount`` in (positive) or out, ``party`` the other side."""

    asset: str
    amount: int
    party: str
    log_index: int


Among: TypeAlias = Callable[[Leg], bool]


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """What no cause explains of one asset and one other side, net."""

    asset: str
    amount: int
    party: str
    log_index: int


class Moves:
    """Movements by log, of tokens or of collateral; ``asset`` is a token id or the name of a bucket."""

    def __init__(self, legs: Iterable[Leg]) -> None:
        self._legs = list(legs)

    def open(self, sign: int, among: Among, asset: str | None = None) -> list[Leg]:
        """What is left in one direction, of the legs that ``among`` accepts."""
        return [leg for leg in self._legs if leg.amount * sign > 0 and asset in {None, leg.asset} and among(leg)]

    def exact(self, amount: int, among: Among, asset: str | None = None) -> list[Leg]:
        """The movements of exactly ``amount`` (signed)."""
        legs = self.open(1 if amount > 0 else -1, among, asset)
        return [leg for leg in legs if leg.amount == amount]

    def take(self, asset: str, amount: int, among: Among) -> int:
        """Take up to ``amount`` (signed): from a leg of exactly that, else from all in order. Returns what was had."""
        sign = 1 if amount > 0 else -1
        left = amount
        for leg in self.exact(amount, among, asset)[:1] or self.open(sign, among, asset):
            part = sign * min(leg.amount * sign, left * sign)
            leg.amount -= part
            left -= part
        return amount - left

    def add(self, leg: Leg) -> None:
        """Put in what a cause has said beyond the movements, so that the sum stays theirs."""
        self._legs.append(leg)

    def rest(self) -> tuple[Rest, ...]:
        """What is left, net for each asset and other side; what went round in a circle is nothing."""
        grouped: dict[tuple[str, str], list[Leg]] = {}
        for leg in self._legs:
            if leg.amount != 0:
                grouped.setdefault((leg.asset, leg.party), []).append(leg)
        rest = (
            Rest(
                asset=asset,
                amount=sum(leg.amount for leg in legs),
                party=party,
                log_index=min(leg.log_index for leg in legs),
            )
            for (asset, party), legs in grouped.items()
        )
        return tuple(item for item in rest if item.amount != 0)


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """All that the causes look at. ``trusted`` are the addresses whose side of a movement is the protocol's."""

    transaction: ChainTransaction
    wallet: str
    book: TokenBook
    tokens: Moves
    cash: Moves
    places: dict[str, TokenPlace]
    trusted: frozenset[str]
    foreign: frozenset[str]
    """Addresses that never act for the wallet: itself, our other wallets, the exchanges."""

    def protocol(self, leg: Leg) -> bool:
        """Whether the other side of the movement is the protocol's."""
        return leg.party in self.trusted

    def agent(self, stakeholder: str) -> Among:
        """Whether the other side is who called the protocol: somebody's own contract that acted for the wallet."""
        return lambda leg: leg.party == stakeholder and leg.party not in self.foreign

    def pair(self, condition_id: str) -> tuple[str, ...]:
        """The tokens of a condition that moved, YES first."""
        sides = {
            token: place.outcome_index for token, place in self.places.items() if place.condition_id == condition_id
        }
        return tuple(sorted(sides, key=lambda token: sides[token]))

    def change(
        self, kind: ChangeKind, log_index: int, legs: Iterable[tuple[str, int]], cash: Iterable[tuple[str, int]]
    ) -> ChainChange:
        """A change of this wallet in this transaction; ``legs`` and ``cash`` are summed by name."""
        return ChainChange(
            kind=kind,
            wallet=self.wallet,
            legs=_summed(legs),
            cash=_summed(cash),
            transaction_hash=self.transaction.transaction_hash,
            block_number=self.transaction.block_number,
            block_hash=self.transaction.block_hash,
            block_time_ms=self.transaction.block_time_ms,
            log_index=log_index,
        )

    def of_token(self, change: ChainChange, token_id: str) -> ChainChange:
        """The change with the condition of a token, as far as the book knows it."""
        place = self.book.tokens.get(token_id)
        if place is None:
            return change
        return replace(change, condition_id=place.condition_id, neg_risk_market_id=place.neg_risk_market_id)


def scene_of(transaction: ChainTransaction, wallet: str, book: TokenBook) -> Scene:
    """Set the scene: nothing is claimed yet."""
    tokens = [leg for log in transaction.logs if isinstance(log, TokenTransfer) for leg in _token_legs(log, wallet)]
    cash = [leg for log in transaction.logs if isinstance(log, CollateralTransfer) for leg in _cash_legs(log, wallet)]
    venues = {log.contract for log in transaction.logs if isinstance(log, OrderFilled)}
    foreign = book.own | book.exchanges | venues | {wallet}
    # Only contracts that Polymarket gave the right may wrap and unwrap: who did is an adapter or a ramp.
    wrappers = {log.caller for log in transaction.logs if isinstance(log, CollateralWrapped)}
    contracts = {log.contract for log in transaction.logs}
    trusted = (book.protocol | book.burns | {NOBODY} | contracts | wrappers) - foreign
    return Scene(
        transaction=transaction,
        wallet=wallet,
        book=book,
        tokens=Moves(tokens),
        cash=Moves(cash),
        places=_places(transaction, book, tokens, trusted),
        trusted=trusted,
        foreign=foreign,
    )


def outer_events(transaction: ChainTransaction) -> tuple[CauseEvent, ...]:
    """The events that name causes, without those that a contract which speaks for itself made another emit.

    The neg-risk adapter calls the conditional tokens: one split is two events, and a conversion splits every other
    question on the way. The inner events name the adapter, which has an event of its own.
    """
    events = [log for log in transaction.logs if isinstance(log, CauseEvent)]
    speakers = {event.contract for event in events}
    return tuple(event for event in events if _caller(event) not in speakers)


def _caller(event: CauseEvent) -> str:
    return event.redeemer if isinstance(event, PayoutRedeemed) else event.stakeholder


def _token_legs(log: TokenTransfer, wallet: str) -> Iterator[Leg]:
    return _legs(log.token_id, log.shares_micro, log, wallet)


def _cash_legs(log: CollateralTransfer, wallet: str) -> Iterator[Leg]:
    return _legs(log.bucket, log.amount_micro, log, wallet)


def _legs(asset: str, amount: int, log: TokenTransfer | CollateralTransfer, wallet: str) -> Iterator[Leg]:
    """What goes from the wallet to itself goes out and comes in: a trade with itself claims both (L-14)."""
    if log.sender == wallet:
        yield Leg(asset=asset, amount=-amount, party=log.receiver, log_index=log.log_index)
    if log.receiver == wallet:
        yield Leg(asset=asset, amount=amount, party=log.sender, log_index=log.log_index)


def _places(
    transaction: ChainTransaction, book: TokenBook, moved: Iterable[Leg], trusted: frozenset[str]
) -> dict[str, TokenPlace]:
    """Places of the tokens that moved.

    Tokens that the book lacks belong to the one condition or neg-risk market that it lacks too, if the events name just
    one; where they name several, none is guessed.
    """
    legs = tuple(leg for leg in moved if leg.amount != 0)
    places = {leg.asset: book.tokens[leg.asset] for leg in legs if leg.asset in book.tokens}
    strangers = tuple(leg for leg in legs if leg.asset not in places and leg.party in trusted)
    if strangers:
        subjects = _unknown_subjects(transaction, book)
        if len(subjects) == 1:
            places |= _adopted(subjects.pop(), strangers)
    return places


def _unknown_subjects(transaction: ChainTransaction, book: TokenBook) -> set[tuple[str, bool]]:
    """(id, whether it is a neg-risk market's) of what the events are about and the book has no token of."""
    conditions = {place.condition_id for place in book.tokens.values()}
    markets = {place.neg_risk_market_id for place in book.tokens.values()}
    subjects = set()
    for event in outer_events(transaction):
        if isinstance(event, PositionsConverted):
            if event.neg_risk_market_id not in markets:
                subjects.add((event.neg_risk_market_id, True))
        elif event.condition_id not in conditions:
            subjects.add((event.condition_id, False))
    return subjects


def _adopted(subject: tuple[str, bool], strangers: tuple[Leg, ...]) -> dict[str, TokenPlace]:
    """Both tokens of a condition, in the order in which the contracts name them: YES first. A conversion takes NO."""
    name, is_market = subject
    if is_market:
        return {
            leg.asset: TokenPlace(condition_id="", outcome_index=int(leg.amount < 0), neg_risk_market_id=name)
            for leg in strangers
        }
    tokens = tuple(dict.fromkeys(leg.asset for leg in strangers))
    if len(tokens) > 2:
        return {}
    return {token: TokenPlace(condition_id=name, outcome_index=index) for index, token in enumerate(tokens)}


def _summed(amounts: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    sums: dict[str, int] = {}
    for name, amount in amounts:
        sums[name] = sums.get(name, 0) + amount
    return tuple((name, amount) for name, amount in sums.items() if amount != 0)
