"""How a market came to its numbers: its journal told as lines that add up to its positions (X-04, L-10, L-13).

Whoever tells it takes the market's events through its transition again, and gives each step to a :class:`Teller`. The
rows that a step wrote become lines, in the order in which they were booked. A line has what it changed, and the totals
of its token after it. A fill has what it did when it was booked; what became of it later is a line of its own, which
changes only fees, and the RESTATED row beside it states what that changed of shares, cost and P&L (D-02). So after
every step the totals are the positions; where they are not, the story says at which entry they parted.

Amounts are integers of 1e-6, times ms UTC.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec
from msgspec.structs import replace

from portfolio.entries import LOGGED, Cause, FillState
from portfolio.market import Step
from portfolio.outcomes import AdjustmentRow, Alert, FillRow
from portfolio.position import EntryEffect
from portfolio.provisional import PROVISIONAL
from portfolio.state import MarketState, fill_key

_TRANSACTION = re.compile(r"transaction (0x[^\s,;]+)(?:, log (\d+))?(?:(?:,| in) block (\d+))?")
_CONSEQUENCES = frozenset({Cause.RESTATED, Cause.REINSTATED})


class Kind(enum.StrEnum):
    """What a line tells of. ISSUE and STRATEGY change no numbers; they are not the market's own to tell."""

    FILL = "fill"
    PROVISIONAL = "provisional"
    SETTLED = "settled"
    FAILED = "failed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    REINSTATED = "reinstated"
    REPRICED = "repriced"
    OPENING = "opening"
    ADJUSTMENT = "adjustment"
    RESTATEMENT = "restatement"
    HALT = "halt"
    RESUME = "resume"
    ISSUE = "issue"
    STRATEGY = "strategy"


class Proof(enum.StrEnum):
    """What a line rests on: a transaction, the exchange's word, an operator's, other lines, or an inference (L-15)."""

    TRANSACTION = "transaction"
    EXCHANGE = "exchange"
    OPERATOR = "operator"
    BOOKS = "books"
    INFERRED = "inferred"


_ENDS = {
    FillState.SETTLED: Kind.SETTLED,
    FillState.FAILED: Kind.FAILED,
    FillState.EXPIRED: Kind.EXPIRED,
    FillState.SUPERSEDED: Kind.SUPERSEDED,
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. ``seq`` is the journal's number, None for what another actor noted.

    ``shares_micro`` to ``fee_micro`` are signed changes; the fields with ``after`` are the token's totals then, None
    where a line is about no token. ``size_micro`` and ``price_micro`` are a fill's terms, ``external`` that
    a key made it that is not configured (R-21). ``superseded``: another entry has taken its place since (D-12).
    """

    seq: int | None
    booked_at_ms: int
    happened_at_ms: int
    kind: Kind
    cause: str
    condition_id: str = ""
    token_id: str = ""
    trade_id: str = ""
    order_id: str = ""
    entry_id: str = ""
    role: str = ""
    side: str = ""
    size_micro: int | None = None
    price_micro: int | None = None
    shares_micro: int = 0
    cost_micro: int = 0
    proceeds_micro: int = 0
    realized_pnl_micro: int = 0
    fee_micro: int = 0
    shares_after_micro: int | None = None
    cost_basis_after_micro: int | None = None
    realized_pnl_after_micro: int | None = None
    fees_after_micro: int | None = None
    external: bool = False
    estimated: bool = False
    superseded: bool = False
    proof: Proof = Proof.BOOKS
    transaction_hash: str | None = None
    log_index: int | None = None
    block_number: int | None = None
    evidence: str = ""
    operator: str = ""
    reason: str = ""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines of one token add up to, or what a position has."""

    shares_micro: int = 0
    cost_basis_micro: int = 0
    realized_pnl_micro: int = 0
    fees_micro: int = 0


NOTHING = Totals()


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The lines and what they add up to by token, with the rows that they were told from, by their keys.

    ``parted`` are the tokens whose lines do not add up to their position, each with the first entry after which that
    is so: empty in sound books.
    """

    lines: tuple[Line, ...]
    totals: dict[str, Totals]
    fills: dict[str, FillRow]
    adjustments: dict[tuple[str, str], AdjustmentRow]
    parted: dict[str, int]


class Teller:
    """Hears the steps of one market from its first on, and tells what they say."""

    def __init__(self, wallet: str, market_id: str) -> None:
        self.state = MarketState(wallet=wallet, market_id=market_id)
        """What the next event goes into."""
        self._lines: list[Line] = []
        self._totals: dict[str, Totals] = {}
        self._fills: dict[str, FillRow] = {}
        self._adjustments: dict[tuple[str, str], AdjustmentRow] = {}
        self._parted: dict[str, int] = {}

    def hear(self, step: Step, seq: int, at_ms: int) -> None:
        """The step that journal entry ``seq`` of ``at_ms`` gave, from :attr:`state` on."""
        before, self.state = self.state, step.state
        heard = len(self._lines)
        own = {effect.entry_id: effect for effect in step.effects}
        moving: list[FillRow] = []
        for row in step.rows:
            if isinstance(row, FillRow):
                moving += [row] if self._hear_fill(row, own, (seq, at_ms)) else []
            elif isinstance(row, AdjustmentRow):
                self._adjustments[row.entry_id, row.token_id] = row
                self._count(_adjustment_line(row, _about(moving, row.token_id), seq))
        if before.halted != step.state.halted:
            self._lines.append(_halt_line(step, seq, at_ms))
        self._compare(before, {line.token_id for line in self._lines[heard:]}, seq)

    def story(self) -> Story:
        """All that was heard; fills with the transaction that is known of them by now."""
        return Story(
            lines=tuple(self._finished(line) for line in self._lines),
            totals=dict(self._totals),
            fills=dict(self._fills),
            adjustments=dict(self._adjustments),
            parted=dict(self._parted),
        )

    def _hear_fill(self, row: FillRow, own: Mapping[str, EntryEffect], when: tuple[int, int]) -> bool:
        """Whether more than its settlement is new. ``own`` are the effects of entries, which a fill has when booked."""
        key = fill_key(row.trade_id, row.order_id)
        known = self._fills.get(key)
        self._fills[key] = row
        kind = _kind(known, row)
        if kind is None:
            return False
        line = _fill_line(row, kind, when)
        line = replace(line, fee_micro=_fee(row) - _fee(known))
        effect = own.get(f"fill:{key}") if kind is Kind.FILL else None
        self._count(line if effect is None else _with(line, effect))
        return known is None or _economics(row) != _economics(known)

    def _count(self, line: Line) -> None:
        """The line with the totals after it."""
        before = self._totals.get(line.token_id, NOTHING)
        after = Totals(
            shares_micro=before.shares_micro + line.shares_micro,
            cost_basis_micro=before.cost_basis_micro + line.cost_micro,
            realized_pnl_micro=before.realized_pnl_micro + line.realized_pnl_micro,
            fees_micro=before.fees_micro + line.fee_micro,
        )
        self._totals[line.token_id] = after
        counted = replace(
            line,
            shares_after_micro=after.shares_micro,
            cost_basis_after_micro=after.cost_basis_micro,
            realized_pnl_after_micro=after.realized_pnl_micro,
            fees_after_micro=after.fees_micro,
        )
        self._lines.append(counted)

    def _compare(self, before: MarketState, touched: AbstractSet[str], seq: int) -> None:
        """The totals with the positions, of all tokens that the step told of or changed."""
        old, new = before.positions, self.state.positions
        tokens = () if old is new else old.keys() | new.keys()
        changed = {token_id for token_id in tokens if old.get(token_id) is not new.get(token_id)}
        for token_id in sorted(changed | touched):
            held = self.state.position(token_id)
            found = Totals(
                shares_micro=held.shares_micro,
                cost_basis_micro=held.cost_basis_micro,
                realized_pnl_micro=held.realized_pnl_micro,
                fees_micro=held.fees_micro,
            )
            if found != self._totals.get(token_id, NOTHING):
                self._parted.setdefault(token_id, seq)

    def _finished(self, line: Line) -> Line:
        """With what became known later: the transaction of its fill, and whether its entry still stands."""
        booked = self.state.adjustments.get(line.entry_id)
        fill = self._fills.get(fill_key(line.trade_id, line.order_id))
        proven = "" if fill is None else fill.settled_by
        named = _TRANSACTION.search(line.evidence) or _TRANSACTION.search(proven)
        transaction, log, block = (None, None, None) if named is None else named.groups()
        if transaction is None and fill is not None:
            transaction = fill.transaction_hash
        known = transaction is not None and line.proof in {Proof.EXCHANGE, Proof.INFERRED}
        return replace(
            line,
            superseded=booked is not None and booked.superseded,
            proof=Proof.TRANSACTION if known else line.proof,
            transaction_hash=transaction,
            log_index=None if log is None else int(log),
            block_number=None if block is None else int(block),
        )


def _fill_line(row: FillRow, kind: Kind, when: tuple[int, int]) -> Line:
    seq, at_ms = when
    return Line(
        seq=seq,
        booked_at_ms=at_ms,
        happened_at_ms=row.matched_at_ms if kind in {Kind.FILL, Kind.PROVISIONAL} else at_ms,
        kind=kind,
        cause=row.state.value,
        condition_id=row.condition_id,
        token_id=row.token_id,
        trade_id=row.trade_id,
        order_id=row.order_id,
        role=row.role.value,
        side=row.side.value,
        size_micro=row.size_micro,
        price_micro=row.price_micro,
        external=row.external,
        proof=Proof.EXCHANGE,
        evidence=row.settled_by,
    )


def _with(line: Line, effect: EntryEffect) -> Line:
    return replace(
        line,
        shares_micro=effect.shares_micro,
        cost_micro=effect.cost_micro,
        proceeds_micro=effect.proceeds_micro,
        realized_pnl_micro=effect.realized_pnl_micro,
    )


def _adjustment_line(row: AdjustmentRow, about: FillRow | None, seq: int) -> Line:
    """``about`` is the fill that what the row restates follows from."""
    fill = about if row.cause in _CONSEQUENCES else None
    return Line(
        seq=seq,
        booked_at_ms=row.at_ms,
        happened_at_ms=row.economic_at_ms,
        kind=_kind_of(row.cause),
        cause=row.cause.value,
        condition_id=row.condition_id,
        token_id=row.token_id,
        entry_id=row.entry_id,
        trade_id="" if fill is None else fill.trade_id,
        order_id="" if fill is None else fill.order_id,
        shares_micro=row.size_micro,
        cost_micro=row.cost_micro,
        proceeds_micro=row.proceeds_micro,
        realized_pnl_micro=row.realized_pnl_micro,
        estimated=row.estimated,
        proof=_proof(row),
        evidence=row.evidence,
        operator=row.operator,
        reason=row.reason,
    )


def _about(moving: Sequence[FillRow], token_id: str) -> FillRow | None:
    """The fill from which follows what a step restates of a token; None where there is none, or more than one may be.

    One of the token itself comes before others, and a trade before the notice that it takes the place of (D-03).
    """
    fills = [row for row in moving if row.trade_id != PROVISIONAL] or moving
    found = [row for row in fills if row.token_id == token_id] or fills
    return found[0] if len(found) == 1 else None


def _kind(known: FillRow | None, row: FillRow) -> Kind | None:
    """What the row says beyond the one before it of the same fill; None: nothing but when, or by which transaction."""
    if row.trade_id == PROVISIONAL:
        return Kind.PROVISIONAL
    if known is None:
        return Kind.FILL
    if row.state is not known.state:
        back = row.state.effective and not known.state.effective
        return Kind.REINSTATED if back else _ENDS[row.state]
    return None if _terms(row) == _terms(known) else Kind.REPRICED


def _economics(row: FillRow) -> tuple[object, ...]:
    return (row.state.effective, *_terms(row))


def _terms(row: FillRow) -> tuple[object, ...]:
    return (row.side, row.price_micro, row.size_micro, row.amount_micro, row.fee_micro)


def _fee(row: FillRow | None) -> int:
    return row.fee_micro if row is not None and row.state.effective else 0


def _kind_of(cause: Cause) -> Kind:
    if cause in _CONSEQUENCES:
        return Kind.RESTATEMENT
    return Kind.OPENING if cause is Cause.OPENING else Kind.ADJUSTMENT


def _proof(row: AdjustmentRow) -> Proof:
    if row.cause in _CONSEQUENCES:
        return Proof.BOOKS
    if row.operator:
        return Proof.OPERATOR
    return Proof.TRANSACTION if row.entry_id.startswith(LOGGED) else Proof.INFERRED


def _halt_line(step: Step, seq: int, at_ms: int) -> Line:
    """A halt has its reason in the state, a resume who did it in what is said of it (R-29)."""
    kind = Kind.HALT if step.state.halted else Kind.RESUME
    said = "; ".join(row.text for row in step.rows if isinstance(row, Alert))
    evidence = step.state.halted or said
    return Line(
        seq=seq, booked_at_ms=at_ms, happened_at_ms=at_ms, kind=kind, cause=kind.value.upper(), evidence=evidence
    )
