"""A position is the fold of its effective entries in economic order (D-02), under the cost rules of R-13.

Here: ``Position``, ``fold`` and what each entry did. Not here: where entries come from, whether a result is allowed
(``invariants``), what it is worth (``comparison``). All amounts are integers of 1e-6.

**Selling what is not held.** An entry that takes more than there is at its place in economic order (its buy was not
seen yet, or carries a later time) takes what is there at its whole cost; the rest makes ``shares_micro`` negative at
cost basis 0. Shares that arrive at a negative position cover it first: the covering part of their cost does not enter
the basis but follows what had left, as cost of sold (realised on the covering entry) or, where shares had left by a
carry, as carried out (realised 0); sales are covered before carries. So zero or fewer shares always mean cost basis
0, every identity holds to the unit while something is missing, and once the missing entry is known the refold shows
no trace of it. Each such entry is in ``Folded.shortfalls``; ``Folded.short_token_ids`` are those still below zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

import msgspec
from msgspec.structs import replace

from portfolio.entries import SETTLED, Adjustment, Carry, Conversion, Entry, Fill, Merge, Redemption, Split, Trade
from portfolio.facts import BUY, Side
from portfolio.units import MICRO, allocate, div_half_even, floor_share


class Position(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is held of one token, at what cost, and the sums that prove it (L-11).

    ``shares_micro`` counts every effective entry, ``settled_micro`` only those proven on chain (settled fills and all
    adjustments); a negative ``settled_micro`` is for ``invariants`` to judge (L-12). Amounts are fee-exclusive;
    ``fees_micro`` stands apart. Identities, each to the unit:

    - bought + carried in - cost of sold - carried out = cost basis
    - proceeds - cost of sold = realised P&L. The collateral of a conversion is part of ``proceeds_micro``, so R-13's
      "+ realised at conversion" is inside; ``converted_realized_micro`` says how much of it there is.

    ``carried_*`` holds cost that moved without a trade: transfers, openings, unexplained changes, and the cost a
    conversion moves from NO to YES. ``owed_out_micro`` is the part of a negative position that left by a carry.
    ``cash_flow_settled_micro`` is the change of collateral, fees included, by entries proven on chain (X-10).
    """

    token_id: str
    shares_micro: int = 0
    settled_micro: int = 0
    cost_basis_micro: int = 0
    realized_pnl_micro: int = 0
    fees_micro: int = 0
    bought_micro: int = 0
    cost_of_sold_micro: int = 0
    proceeds_micro: int = 0
    carried_in_micro: int = 0
    carried_out_micro: int = 0
    converted_realized_micro: int = 0
    owed_out_micro: int = 0
    cash_flow_settled_micro: int = 0

    @property
    def in_flight_micro(self) -> int:
        """Shares matched but not proven on chain; signed (R-05)."""
        return self.shares_micro - self.settled_micro

    @property
    def cash_flow_micro(self) -> int:
        """Change of collateral by all effective entries, fees included; signed (X-10)."""
        return self.proceeds_micro - self.bought_micro - self.fees_micro

    @property
    def average_micro(self) -> int | None:
        """Average cost per share, fee-exclusive, half to even; None where nothing is held. A view, never stored."""
        if self.shares_micro <= 0:
            return None
        return div_half_even(self.cost_basis_micro * MICRO, self.shares_micro)


class EntryEffect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one entry did to one token: signed changes of shares and cost basis, proceeds, realised P&L."""

    entry_id: str
    token_id: str
    shares_micro: int
    cost_micro: int
    proceeds_micro: int
    realized_pnl_micro: int


class Shortfall(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that took ``missing_micro`` more shares than were there at its place in economic order (R-24)."""

    entry_id: str
    token_id: str
    missing_micro: int


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a fold: positions sorted by token id; effects and shortfalls in economic order."""

    positions: tuple[Position, ...]
    effects: tuple[EntryEffect, ...]
    shortfalls: tuple[Shortfall, ...]

    def position(self, token_id: str) -> Position:
        """The position in ``token_id``; an empty one where no entry names it."""
        return next(
            (position for position in self.positions if position.token_id == token_id),
            Position(token_id=token_id),
        )

    def by_token(self) -> dict[str, Position]:
        """Positions by token id, fit as ``start`` of a later fold."""
        return {position.token_id: position for position in self.positions}

    def by_entry(self) -> dict[str, tuple[EntryEffect, ...]]:
        """Effects by entry id, in the order of the entry's legs."""
        grouped: dict[str, tuple[EntryEffect, ...]] = {}
        for effect in self.effects:
            grouped[effect.entry_id] = (*grouped.get(effect.entry_id, ()), effect)
        return grouped

    @property
    def short_token_ids(self) -> tuple[str, ...]:
        """Tokens still below zero after the last entry: the market waits for the missing ones (R-24)."""
        return tuple(position.token_id for position in self.positions if position.shares_micro < 0)


def effective(entry: Entry) -> bool:
    """Whether ``entry`` counts: all but failed and superseded fills."""
    return not isinstance(entry, Fill) or entry.state.effective


def settled(entry: Entry) -> bool:
    """Whether ``entry`` is proven on chain: settled fills and, by their nature, adjustments."""
    return not isinstance(entry, Fill) or entry.state is SETTLED


def economic_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The effective entries, each id once, by economic time and then id (D-02).

    Two different entries under one id are a breach (``invariants.unique_entries``); of them the one whose encoding
    sorts first is taken, so that even then arrival order cannot matter.
    """
    chosen: dict[str, Entry] = {}
    for entry in entries:
        if effective(entry):
            rival = chosen.setdefault(entry.entry_id, entry)
            if rival is not entry and rival != entry:
                chosen[entry.entry_id] = min(rival, entry, key=msgspec.msgpack.encode)
    return tuple(sorted(chosen.values(), key=lambda entry: (entry.at, entry.entry_id)))


def fold(entries: Iterable[Entry], start: Mapping[str, Position] | None = None) -> Folded:
    """Apply the effective ``entries`` in economic order to ``start`` (token id → position; None = nothing held).

    A fold over the tail with a checkpoint as ``start`` equals the fold over all, provided the checkpoint covers a
    prefix in economic order. Arrival order and repetition of entries do not matter (D-02, L-19).
    """
    book: dict[str, Position] = dict(start or {})
    effects: list[EntryEffect] = []
    shortfalls: list[Shortfall] = []
    for entry in economic_order(entries):
        done = _apply(entry, book)
        effects += done
        shortfalls += _short(done, book)
    positions = tuple(book[token_id] for token_id in sorted(book))
    return Folded(positions=positions, effects=tuple(effects), shortfalls=tuple(shortfalls))


def applied(entry: Entry, positions: Mapping[str, Position]) -> tuple[dict[str, Position], tuple[EntryEffect, ...]]:
    """``positions`` after one effective ``entry`` later than all in them, and what it did, in the order of its legs.

    Equals :func:`fold` of it with them as start: the usual case, a new fill, at the price of its own tokens.
    """
    book = dict(positions)
    return book, _apply(entry, book)


def _apply(entry: Entry, book: dict[str, Position]) -> tuple[EntryEffect, ...]:
    """Bring ``entry`` into ``book``; what it did."""
    if isinstance(entry, Fill):
        held = _held(book, entry.token_id)
        traded = _traded(held, entry.side, entry.size_micro, entry.amount_micro)
        after = book[entry.token_id] = _with_chain_side(held, traded, entry.fee_micro, proven=settled(entry))
        return (_effect(entry.entry_id, held, after),)
    fee = entry.fee_micro if isinstance(entry, Trade) else 0
    effects = []
    for leg in _legs(entry, book):
        held = _held(book, leg.token_id)
        after = book[leg.token_id] = _with_chain_side(held, leg, fee, proven=settled(entry))
        effects.append(_effect(entry.entry_id, held, after))
    return tuple(effects)


def _short(effects: Iterable[EntryEffect], book: Mapping[str, Position]) -> Iterator[Shortfall]:
    """Where an entry, which had these ``effects``, took more than there was."""
    for effect in effects:
        after = book[effect.token_id].shares_micro
        missing = min(after - effect.shares_micro, 0) - after
        if after < 0 and missing > 0:
            yield Shortfall(entry_id=effect.entry_id, token_id=effect.token_id, missing_micro=missing)


def _effect(entry_id: str, before: Position, after: Position) -> EntryEffect:
    return EntryEffect(
        entry_id=entry_id,
        token_id=after.token_id,
        shares_micro=after.shares_micro - before.shares_micro,
        cost_micro=after.cost_basis_micro - before.cost_basis_micro,
        proceeds_micro=after.proceeds_micro - before.proceeds_micro,
        realized_pnl_micro=after.realized_pnl_micro - before.realized_pnl_micro,
    )


def _held(book: Mapping[str, Position], token_id: str) -> Position:
    held = book.get(token_id)
    return Position(token_id=token_id) if held is None else held


def _with_chain_side(before: Position, after: Position, fee: int, *, proven: bool) -> Position:
    """``after`` with the entry's fee, and with what the chain has seen of it: all, if it is ``proven``."""
    if not proven:
        return replace(after, fees_micro=before.fees_micro + fee) if fee else after
    paid = after.bought_micro - before.bought_micro
    received = after.proceeds_micro - before.proceeds_micro
    return replace(
        after,
        fees_micro=before.fees_micro + fee,
        settled_micro=before.settled_micro + after.shares_micro - before.shares_micro,
        cash_flow_settled_micro=before.cash_flow_settled_micro + received - paid - fee,
    )


def _legs(entry: Adjustment, book: Mapping[str, Position]) -> tuple[Position, ...]:
    """The positions that ``entry`` touches, after it, in the order of its legs."""
    legs: tuple[Position, ...]
    match entry:
        case Trade():
            legs = (_traded(_held(book, entry.token_id), entry.side, entry.shares_micro, entry.amount_micro),)
        case Redemption():
            legs = (_sold(_held(book, entry.token_id), entry.shares_micro, entry.proceeds_micro),)
        case Carry():
            legs = (_carried(_held(book, entry.token_id), entry.shares_micro, entry.cost_micro),)
        case Split():
            legs = _split(_held(book, entry.yes_token_id), _held(book, entry.no_token_id), entry.shares_micro)
        case Merge():
            legs = _merged(_held(book, entry.yes_token_id), _held(book, entry.no_token_id), entry.shares_micro)
        case Conversion():
            no_held = tuple(_held(book, token_id) for token_id in entry.no_token_ids)
            legs = _converted(no_held, tuple(_held(book, token_id) for token_id in entry.yes_token_ids), entry)
        case _:  # pragma: no cover - mypy proves that no kind of entry is left
            assert_never(entry)
    return legs


def _traded(held: Position, side: Side, shares: int, amount: int) -> Position:
    return _bought(held, shares, amount) if side is BUY else _sold(held, shares, amount)


def _bought(held: Position, shares: int, cost: int) -> Position:
    if held.shares_micro < 0 or shares == 0:
        return _covered(replace(held, bought_micro=held.bought_micro + cost), shares, cost)
    return replace(
        held,
        shares_micro=held.shares_micro + shares,
        cost_basis_micro=held.cost_basis_micro + cost,
        bought_micro=held.bought_micro + cost,
    )


def _sold(held: Position, shares: int, proceeds: int) -> Position:
    removed = _cost_of(held, shares)
    return replace(
        held,
        shares_micro=held.shares_micro - shares,
        cost_basis_micro=held.cost_basis_micro - removed,
        cost_of_sold_micro=held.cost_of_sold_micro + removed,
        proceeds_micro=held.proceeds_micro + proceeds,
        realized_pnl_micro=held.realized_pnl_micro + proceeds - removed,
    )


def _carried(held: Position, shares: int, cost: int) -> Position:
    if shares >= 0:
        return _covered(replace(held, carried_in_micro=held.carried_in_micro + cost), shares, cost)
    removed = _cost_of(held, -shares)
    after = held.shares_micro + shares
    return replace(
        held,
        shares_micro=after,
        cost_basis_micro=held.cost_basis_micro - removed,
        carried_out_micro=held.carried_out_micro + removed,
        owed_out_micro=held.owed_out_micro + min(held.shares_micro, 0) - min(after, 0),
    )


def _split(yes: Position, no: Position, shares: int) -> tuple[Position, ...]:
    costs = allocate(shares, (1, 1))
    return (_bought(yes, shares, costs[0]), _bought(no, shares, costs[1]))


def _merged(yes: Position, no: Position, shares: int) -> tuple[Position, ...]:
    proceeds = allocate(shares, (_cost_of(yes, shares), _cost_of(no, shares)))
    return (_sold(yes, shares, proceeds[0]), _sold(no, shares, proceeds[1]))


def _converted(
    no_held: tuple[Position, ...], yes_held: tuple[Position, ...], entry: Conversion
) -> tuple[Position, ...]:
    """NO leave at cost; collateral lowers that cost; the rest of it goes to the YES received (R-13).

    Collateral is cut in proportion to cost removed. Up to a leg's cost that is a sale at cost; above it is realised.
    Where YES is received the cost not met by collateral moves there, else it is realised as a loss.
    """
    costs = tuple(_cost_of(held, entry.shares_micro) for held in no_held)
    received = allocate(entry.collateral_micro, costs)
    moved = tuple(max(0, cost - cash) if yes_held else 0 for cost, cash in zip(costs, received, strict=True))
    gone = tuple(
        _converted_away(held, entry.shares_micro, cash, move)
        for held, cash, move in zip(no_held, received, moved, strict=True)
    )
    arriving = allocate(sum(moved), (1,) * len(yes_held))
    come = tuple(_carried(held, entry.yes_shares_micro, cost) for held, cost in zip(yes_held, arriving, strict=True))
    return gone + come


def _converted_away(held: Position, shares: int, cash: int, moved: int) -> Position:
    """``held`` after ``shares`` left for ``cash`` and ``moved`` of their cost went on to the YES received."""
    sold = _sold(held, shares, cash)
    gained = sold.realized_pnl_micro - held.realized_pnl_micro + moved
    return replace(
        sold,
        cost_of_sold_micro=sold.cost_of_sold_micro - moved,
        carried_out_micro=held.carried_out_micro + moved,
        realized_pnl_micro=held.realized_pnl_micro + gained,
        converted_realized_micro=held.converted_realized_micro + gained,
    )


def _cost_of(held: Position, shares: int) -> int:
    """Cost that leaves with ``shares``: floored share of the basis, all of it with the last share (R-13)."""
    if shares >= held.shares_micro:
        return held.cost_basis_micro
    return floor_share(held.cost_basis_micro, shares, held.shares_micro)


def _covered(held: Position, shares: int, cost: int) -> Position:
    """``held`` with ``shares`` more at ``cost``; what is owed is covered first (see the module's rule)."""
    after = held.shares_micro + shares
    covering = min(shares, max(0, -held.shares_micro))
    spent = cost if covering == shares else floor_share(cost, covering, shares)
    for_sales = min(covering, max(0, -held.shares_micro - held.owed_out_micro))
    for_carries = covering - for_sales
    carried = floor_share(spent, for_carries, covering) if for_carries else 0
    return replace(
        held,
        shares_micro=after,
        cost_basis_micro=held.cost_basis_micro + cost - spent,
        cost_of_sold_micro=held.cost_of_sold_micro + spent - carried,
        realized_pnl_micro=held.realized_pnl_micro - (spent - carried),
        carried_out_micro=held.carried_out_micro + carried,
        owed_out_micro=held.owed_out_micro - for_carries,
    )
