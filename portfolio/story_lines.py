"""The lines of a market's story, and how they are told from rows (X-04, L-14).

Amounts are integers of 1e-6, times ms UTC.
"""

from __future__ import annotations

import enum
import re

import msgspec
from msgspec.structs import replace

from portfolio.entries import LOGGED, Cause, FillState
from portfolio.finality import Finality
from portfolio.market import Step
from portfolio.outcomes import AdjustmentRow, Alert, FillRow
from portfolio.position import EntryEffect
from portfolio.state import TailFact

TRANSACTION = re.compile(r"transaction (0x[^\s,;]+)(?:, log (\d+))?(?:(?:,| in) block (\d+))?")
CONSEQUENCES = frozenset({Cause.RESTATED, Cause.REINSTATED, Cause.REORGANISED})


class Kind(enum.StrEnum):
    """What a line tells of. ISSUE and STRATEGY change no numbers; they are not the market's own to tell."""

    FILL = "fill"
    PROVISIONAL = "provisional"
    SETTLED = "settled"
    UNSETTLED = "unsettled"
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


ENDS = {
    FillState.OBSERVED: Kind.UNSETTLED,  # the chain dropped the block that it had settled in
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
    ``finality`` is of the block that the line rests on, None where no block shows it (X-14).
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
    finality: Finality | None = None
    evidence: str = ""
    operator: str = ""
    reason: str = ""


def fill_line(row: FillRow, kind: Kind, when: tuple[int, int]) -> Line:
    """What became of a fill, ``when`` by the journal's number and its time."""
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


def taken_back(line: Line, held: TailFact | None) -> Line:
    """The line of what was undone, with the log that the chain dropped, where one is known."""
    named = None if held is None else TRANSACTION.search(held.fact.hint.evidence)
    if held is None or named is None:
        return line
    fact = held.fact
    dropped = f"block {fact.block_number} ({fact.block_hash}) was dropped by the chain"
    if line.kind is Kind.UNSETTLED and line.cause == FillState.SETTLED:
        dropped += "; it stays settled by the exchange's word"
    return replace(
        line,
        transaction_hash=fact.transaction_hash,
        log_index=None if named[2] is None else int(named[2]),
        block_number=fact.block_number,
        finality=Finality.DROPPED,
        evidence=line.evidence or dropped,
    )


def with_effect(line: Line, effect: EntryEffect) -> Line:
    """A fill's line with what it did when it was booked."""
    return replace(
        line,
        shares_micro=effect.shares_micro,
        cost_micro=effect.cost_micro,
        proceeds_micro=effect.proceeds_micro,
        realized_pnl_micro=effect.realized_pnl_micro,
    )


def adjustment_line(row: AdjustmentRow, about: FillRow | None, seq: int) -> Line:
    """``about`` is the fill that what the row restates follows from."""
    fill = about if row.cause in CONSEQUENCES else None
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
        fee_micro=row.fee_micro,
        estimated=row.estimated,
        proof=_proof(row),
        evidence=row.evidence,
        operator=row.operator,
        reason=row.reason,
    )


def _kind_of(cause: Cause) -> Kind:
    if cause in CONSEQUENCES:
        return Kind.RESTATEMENT
    return Kind.OPENING if cause is Cause.OPENING else Kind.ADJUSTMENT


def _proof(row: AdjustmentRow) -> Proof:
    if row.cause in CONSEQUENCES:
        return Proof.BOOKS
    if row.operator:
        return Proof.OPERATOR
    return Proof.TRANSACTION if row.entry_id.startswith(LOGGED) else Proof.INFERRED


def halt_line(step: Step, seq: int, at_ms: int) -> Line:
    """A halt has its reason in the state, a resume who did it in what is said of it (R-29)."""
    kind = Kind.HALT if step.state.halted else Kind.RESUME
    said = "; ".join(row.text for row in step.rows if isinstance(row, Alert))
    evidence = step.state.halted or said
    return Line(
        seq=seq, booked_at_ms=at_ms, happened_at_ms=at_ms, kind=kind, cause=kind.value.upper(), evidence=evidence
    )
