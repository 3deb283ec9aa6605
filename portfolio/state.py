"""What one market owns: its conditions, fills, adjustments, orders, and the positions folded from them.

A state is immutable; a transition works on a :class:`Draft` and publishes a new state at its end (compute first,
assign last). Nothing here decides; ``booking``, ``orders`` and ``reconciling`` do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from portfolio.entries import Adjustment, Cause, EconomicTime, Entry, Fill
from portfolio.facts import BUY, MarketMeta, TokenIdCheck, TokenMeta, TradeStatus
from portfolio.invariants import Breach
from portfolio.outcomes import Outcome
from portfolio.position import EntryEffect, Folded, Position, applied, effective, fold
from portfolio.provisional import provisional_fills
from portfolio.table import Table, with_entry
from portfolio.tail import ChainFact
from portfolio.views import CauseHint, OrderState

MARK_EVERY = 32
"""Entries between two marks: at most so many, and those after the last mark, are folded anew for a late one."""

MARKS_MAX = 4


class BookedFill(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A fill with what is known of it beside the entry. ``proven``: a balance has shown it (X-02).

    ``told`` is the (rank, time) of the message that its status and terms are from, ``hash_told`` the (time, rank) of
    the one that its transaction hash is from: the hash may change until the trade is confirmed. ``not_before_ms`` is
    when it may be called overdue again (R-10). ``logged``: its amount and fee are the chain's, which win (R-11, R-20).
    ``receipt_at_ms`` is when a receipt showed that it had settled.
    """

    fill: Fill
    status: TradeStatus
    proven: bool
    realized_pnl_micro: int
    booked_at_ms: int
    updated_at_ms: int
    told: tuple[int, int] = (0, 0)
    hash_told: tuple[int, int] = (0, 0)
    not_before_ms: int = 0
    logged: bool = False
    receipt_at_ms: int = 0


class BookedAdjustment(msgspec.Struct, frozen=True, kw_only=True):
    """An adjustment with what it did when it was booked. ``superseded``: the real entry came later (D-12).

    ``operator`` and ``reason`` are set where a person made it (L-26). ``rounded``: the Data API alone showed it.
    """

    entry: Adjustment
    effects: tuple[EntryEffect, ...]
    cash_micro: int
    superseded: bool
    booked_at_ms: int
    operator: str = ""
    reason: str = ""
    rounded: bool = False


class PendingToken(msgspec.Struct, frozen=True, kw_only=True):
    """A difference that waits for its second look (R-05, D-12, D-14). ``block_number`` None: by the stand-in.

    ``cycle_id`` is the cycle of the first look: one view taken twice is one look (L-19). ``hints`` are what the
    wallet's cash said at that look: later movements of cash are not its.
    """

    token_id: str
    difference_micro: int
    block_number: int | None
    since_ms: int
    cycle_id: str = ""
    hints: tuple[CauseHint, ...] = ()


class TailFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of a block that may still be dropped, and what it became: the key of a fill or the id of an adjustment.

    ``booked_as`` is empty while it waits for its trade. ``before`` is the fill as it was without the fact.
    """

    fact: ChainFact
    booked_as: str = ""
    before: BookedFill | None = None


class NotedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change booked from evidence between cycles; the next cycle reports it and counts it as drift (R-22, R-25)."""

    condition_id: str
    token_id: str
    shares_micro: int
    cause: str
    evidence: str


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The positions after every entry up to ``at``, from which a late entry's fold begins (D-02)."""

    at: EconomicTime
    positions: dict[str, Position]


class MarketState(msgspec.Struct, frozen=True, kw_only=True):
    """State of one market of one wallet. ``version`` rises with every change; ``halted`` is the reason, or empty.

    ``newest_at`` is the latest economic time among the entries that count, None where none was folded yet: it tells
    without a search whether an entry comes last. ``marks`` are the last few checkpoints of the fold, the oldest first,
    and ``unmarked`` how many entries came since. ``short_since`` says when a token's shares fell below zero (R-24).
    ``contradicted`` are conditions whose token ids the contract contradicts (R-18).
    ``restatements`` counts the changes that stated anything anew, and names their rows. ``tail`` is what the chain's
    logs showed in blocks that may still be dropped, in the order it was taken (X-01). ``unasked_orders`` are orders
    whose fills were booked as another client's, until the exchange has said whose they are (R-21).
    """

    wallet: str
    market_id: str
    version: int = 0
    metas: tuple[MarketMeta, ...] = ()
    question_count: int | None = None
    fills: Mapping[str, BookedFill] = {}
    adjustments: Mapping[str, BookedAdjustment] = {}
    orders: Mapping[str, OrderState] = {}
    positions: dict[str, Position] = {}
    pending: dict[str, PendingToken] = {}
    noted: tuple[NotedChange, ...] = ()
    cost_hints: dict[str, tuple[int, int]] = {}
    ignored_orders: tuple[str, ...] = ()
    halted: str = ""
    newest_at: EconomicTime | None = None
    marks: tuple[Mark, ...] = ()
    unmarked: int = 0
    short_since: dict[str, int] = {}
    contradicted: dict[str, TokenIdCheck] = {}
    restatements: int = 0
    tail: tuple[TailFact, ...] = ()
    unasked_orders: tuple[str, ...] = ()

    def meta_of(self, condition_id: str) -> MarketMeta | None:
        """Metadata of a condition of this market."""
        for meta in self.metas:
            if meta.condition_id == condition_id:
                return meta
        return None

    def token(self, token_id: str) -> tuple[MarketMeta, TokenMeta] | None:
        """Where a token belongs."""
        for meta in self.metas:
            for token in meta.tokens:
                if token.token_id == token_id:
                    return meta, token
        return None

    def position(self, token_id: str) -> Position:
        """The position in a token; an empty one where nothing was ever held."""
        held = self.positions.get(token_id)
        return Position(token_id=token_id) if held is None else held

    def adjusted(self, token_id: str) -> bool:
        """Whether an adjustment of the token stands: its books were opened or corrected before."""
        standing = (booked for booked in self.adjustments.values() if not booked.superseded)
        return any(effect.token_id == token_id for booked in standing for effect in booked.effects)

    @property
    def neg_risk(self) -> bool:
        """Whether the market is a neg-risk event."""
        return any(meta.neg_risk for meta in self.metas)

    def entries(self) -> Iterable[Entry]:
        """All entries that may count: fills, of trades and provisional ones, and adjustments not superseded."""
        yield from (booked.fill for booked in self.fills.values())
        yield from (booked.entry for booked in self.adjustments.values() if not booked.superseded)
        for order in self.orders.values():
            if order.size_matched_micro > order.booked_micro:
                yield from provisional_fills(order)


class _Held:
    """Folds that wait for each other: from where on, and who wants to know what an entry did."""

    def __init__(self) -> None:
        self.since: EconomicTime | None = None
        self.waiting: list[tuple[str, Callable[[tuple[EntryEffect, ...]], None]]] = []


class Draft:
    """A state being changed, with the rows the change wants written. Lives within one transition.

    ``effects`` are what the entries that were booked did at their own places; whatever else changes of a position is
    stated as a row of its own, with ``evidence``, or ``evidence_of`` its token, and ``restated_as`` (D-02). ``counted``
    names what was late, repeated or refused, ``breaches`` what the change itself breaks (L-21).
    """

    evidence = ""
    restated_as = Cause.RESTATED
    _told: Mapping[str, Position] | None = None
    _held: _Held | None = None

    wants_rows = True
    """Whether the rows of each change are made; only then is what breaks a rule about one fill noted (L-21)."""

    def __init__(self, state: MarketState, now_ms: int) -> None:
        self.before = state
        self.state = state
        self.now_ms = now_ms
        self.rows: list[Outcome] = []
        self.effects: list[EntryEffect] = []
        self.counted: list[str] = []
        self.breaches: list[Breach] = []
        self.evidence_of: dict[str, str] = {}

    def put(self, **changes: object) -> None:
        """Replace fields of the state."""
        self.state = replace(self.state, **changes)

    def put_fill(self, booked: BookedFill) -> None:
        """Insert or replace a fill by its key."""
        key = fill_key(booked.fill.trade_id, booked.fill.order_id)
        self.put(fills=with_entry(self.state.fills, key, booked))

    def put_fills(self, changed: Iterable[BookedFill]) -> None:
        """Insert or replace several fills by their keys."""
        fills = self.state.fills
        for booked in changed:
            fills = with_entry(fills, fill_key(booked.fill.trade_id, booked.fill.order_id), booked)
        if fills is not self.state.fills:
            self.put(fills=fills)

    def put_adjustment(self, booked: BookedAdjustment) -> None:
        """Insert or replace an adjustment by its entry id."""
        self.put(adjustments=with_entry(self.state.adjustments, booked.entry.entry_id, booked))

    def put_order(self, order: OrderState) -> None:
        """Insert or replace an order by its id."""
        self.put(orders=with_entry(self.state.orders, order.order_id, order))

    def append(self, entry: Entry) -> tuple[EntryEffect, ...]:
        """Bring a new entry (already among the state's) into the positions; returns what it did at its own place.

        The newest entry in economic order is applied to the positions as they are; before an older one the fold begins
        again (D-02).
        """
        known = self.state.newest_at
        if known is None or known >= entry.at:
            return self.refold(entry.at).by_entry().get(entry.entry_id, ())
        positions, effects = applied(entry, self.state.positions)
        marks, unmarked = _marked(self.state, known)
        self.put(positions=positions, newest_at=entry.at, marks=marks, unmarked=unmarked)
        return effects

    def append_then(self, entry: Entry, then: Callable[[tuple[EntryEffect, ...]], None]) -> None:
        """As :meth:`append`, and tell ``then`` what the entry did: at once, or when what is held is folded."""
        if self._held is None:
            then(self.append(entry))
        else:
            self._held.waiting.append((entry.entry_id, then))
            self.refold(entry.at)

    @contextmanager
    def folding_once(self) -> Iterator[None]:
        """Within it nothing is folded anew; at its end everything is, once. Until then positions stay as they were."""
        held = self._held = _Held()
        yield
        self._held = None
        if held.since is not None:
            effects = self.refold(held.since).by_entry()
            for entry_id, then in held.waiting:
                then(effects.get(entry_id, ()))

    def append_fill(self, booked: BookedFill) -> BookedFill:
        """Put a new fill that counts, as :meth:`append` does; returns it with the P&L that it realised.

        The newest one, as nearly all are, is folded before it is put: one new state instead of three.
        """
        fill, before = booked.fill, self.state
        known = before.newest_at
        if known is None or known >= fill.at:
            self.put_fill(booked)
            effects = self.append(fill)
            self.effects.extend(effects)
            return self.with_realized(booked, effects)
        positions, (effect,) = applied(fill, before.positions)
        self.effects.append(effect)
        if effect.realized_pnl_micro:
            booked = replace(booked, realized_pnl_micro=effect.realized_pnl_micro)
        fills = with_entry(before.fills, fill_key(fill.trade_id, fill.order_id), booked)
        marks, unmarked = _marked(before, known)
        self.state = replace(
            before, fills=fills, positions=positions, newest_at=fill.at, marks=marks, unmarked=unmarked
        )
        self._told = positions if before.positions is self.before.positions else None
        return booked

    def with_realized(self, booked: BookedFill, effects: Iterable[EntryEffect]) -> BookedFill:
        """The fill with the P&L that it realised, put in its own place where that is any."""
        realizing = _realizing(booked, effects)
        if realizing is not booked:
            self.put_fill(realizing)
        return realizing

    def refold(self, since: EconomicTime) -> Folded:
        """Fold anew from ``since`` on, where an entry came, changed, or began or ceased to count."""
        if self._held is not None:
            self._held.since = since if self._held.since is None else min(since, self._held.since)
            return Folded(positions=(), effects=(), shortfalls=())
        marks = tuple(mark for mark in self.state.marks if mark.at < since)
        start = marks[-1] if marks else None
        entries = tuple(
            entry for entry in self.state.entries() if effective(entry) and (start is None or entry.at > start.at)
        )
        folded = fold(entries, start.positions if start is not None else None)
        newest = max((entry.at for entry in entries), default=start.at if start is not None else None)
        self.put(positions=folded.by_token(), newest_at=newest, marks=marks, unmarked=len(entries))
        return folded

    def settle(self, fill: Fill) -> None:
        """Count a fill as settled that counted as in flight; as a refold would, for its position is linear in that."""
        marks = tuple(
            mark if mark.at < fill.at else replace(mark, positions=_with_settled(mark.positions, fill))
            for mark in self.state.marks
        )
        self.put(positions=_with_settled(self.state.positions, fill), marks=marks)

    @property
    def moved_alone(self) -> str:
        """The token that alone moved, where one new entry's effect tells all of it; else empty."""
        return self.effects[0].token_id if self.state.positions is self._told else ""

    @property
    def changed(self) -> bool:
        """Whether anything but rows came of it."""
        return self.state is not self.before


def _marked(state: MarketState, known: EconomicTime) -> tuple[tuple[Mark, ...], int]:
    """Marks, and the entries behind them, with one more entry; ``known`` is when the last one of now was."""
    if state.unmarked < MARK_EVERY:
        return state.marks, state.unmarked + 1
    return (*state.marks, Mark(at=known, positions=state.positions))[-MARKS_MAX:], 1


def _realizing(booked: BookedFill, effects: Iterable[EntryEffect]) -> BookedFill:
    realized = 0
    for effect in effects:
        realized += effect.realized_pnl_micro
    return replace(booked, realized_pnl_micro=realized) if realized else booked


def _with_settled(positions: dict[str, Position], fill: Fill) -> dict[str, Position]:
    position = positions[fill.token_id]
    settled = replace(
        position,
        settled_micro=position.settled_micro + fill_shares(fill),
        cash_flow_settled_micro=position.cash_flow_settled_micro + fill_cash(fill),
    )
    return {**positions, fill.token_id: settled}


def fill_shares(fill: Fill) -> int:
    """Shares that came (positive) or went."""
    return fill.size_micro if fill.side is BUY else -fill.size_micro


def fill_cash(fill: Fill) -> int:
    """Signed change of collateral by a fill, its fee included."""
    paid = -fill.amount_micro if fill.side is BUY else fill.amount_micro
    return paid - fill.fee_micro


def fill_key(trade_id: str, order_id: str) -> str:
    """Key of a fill: one trade may fill several of our orders, one order many trades (L-01)."""
    return f"{trade_id}/{order_id}"


_canonical = msgspec.json.Encoder(order="deterministic", enc_hook=Table.as_dict)


def encoded(state: object) -> bytes:
    """The canonical encoding of a state, as JSON."""
    return _canonical.encode(state)


def digest(state: object) -> str:
    """sha256 over the canonical encoding of a state: equal states have equal digests, whatever their history (D-20)."""
    return hashlib.sha256(encoded(state)).hexdigest()
