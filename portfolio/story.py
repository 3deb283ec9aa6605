"""How a market came to its numbers: its journal told as lines that add up to its positions (X-04, L-10, L-13).

Whoever tells it takes the market's events through its transition again, and gives each step to a :class:`Teller`. The
rows that a step wrote become lines, in the order in which they were booked. A line has what it changed, and the totals
of its token after it. A fill has what it did when it was booked; what became of it later is a line of its own, which
changes only fees, and the RESTATED row beside it states what that changed of shares, cost and P&L (D-02). So after
every step the totals are the positions; where they are not, the story says at which entry they parted.

Amounts are integers of 1e-6, times ms UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec
from msgspec.structs import replace

from portfolio.entries import Cause, FillState
from portfolio.finality import Blocks, Finality, of_token, standing, undone
from portfolio.market import Step
from portfolio.outcomes import AdjustmentRow, FillRow
from portfolio.position import EntryEffect
from portfolio.provisional import PROVISIONAL
from portfolio.state import MarketState, TailFact, fill_key
from portfolio.story_lines import (
    ENDS,
    TRANSACTION,
    Kind,
    Line,
    Proof,
    adjustment_line,
    fill_line,
    halt_line,
    taken_back,
    with_effect,
)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines of one token add up to, or what a position has."""

    shares_micro: int = 0
    cost_basis_micro: int = 0
    realized_pnl_micro: int = 0
    fees_micro: int = 0


NOTHING = Totals()
_STANDING = frozenset({FillState.OBSERVED, FillState.SETTLED})
"""What a fill is whose block was dropped, unless it has failed: in flight, or settled by the exchange's word."""


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
        self._blocks = Blocks()
        self._lost: set[str] = set()

    def hear(self, step: Step, seq: int, at_ms: int) -> None:
        """The step that journal entry ``seq`` of ``at_ms`` gave, from :attr:`state` on."""
        before, self.state = self.state, step.state
        heard = len(self._lines)
        own = {effect.entry_id: effect for effect in step.effects}
        moving: list[FillRow] = []
        gone = undone(before, step)
        self._blocks.drop(gone, seq)
        for row in step.rows:
            if isinstance(row, FillRow):
                moving += [row] if self._hear_fill(row, own, gone, (seq, at_ms)) else []
            elif isinstance(row, AdjustmentRow):
                self._adjustments[row.entry_id, row.token_id] = row
                line = adjustment_line(row, _about(moving, row.token_id), seq)
                undoes = row.cause is Cause.REORGANISED
                self._count(taken_back(line, of_token(before, gone, row.token_id)) if undoes else line)
        if before.halted != step.state.halted:
            self._lines.append(halt_line(step, seq, at_ms))
        self._compare(before, {line.token_id for line in self._lines[heard:]}, seq)

    def story(self, final_block: int = 0) -> Story:
        """All that was heard; fills with the transaction that is known of them by now.

        Up to ``final_block`` blocks are final (R-31).
        """
        return Story(
            lines=tuple(self._finished(line, final_block) for line in self._lines),
            totals=dict(self._totals),
            fills=dict(self._fills),
            adjustments=dict(self._adjustments),
            parted=dict(self._parted),
        )

    def _hear_fill(
        self, row: FillRow, own: Mapping[str, EntryEffect], gone: Sequence[TailFact], when: tuple[int, int]
    ) -> bool:
        """Whether more than its settlement is new.

        ``own`` are the effects of entries, which a fill has when booked; ``gone`` is what the chain took back.
        """
        key = fill_key(row.trade_id, row.order_id)
        known = self._fills.get(key)
        self._fills[key] = row
        lost = next((held for held in gone if held.booked_as == key and not row.settled_by), None)
        kind = Kind.UNSETTLED if lost is not None and row.state in _STANDING else _kind(known, row)
        if kind in {None, Kind.REPRICED} and key in self._lost and row.settled_by:
            kind = Kind.SETTLED
        if kind is None:
            return False
        line = replace(fill_line(row, kind, when), fee_micro=_fee(row) - _fee(known))
        self._lost.discard(key)
        if kind is Kind.UNSETTLED:
            self._lost.add(key)
            line = taken_back(line, lost)
        effect = own.get(f"fill:{key}") if kind is Kind.FILL else None
        self._count(line if effect is None else with_effect(line, effect))
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

    def _finished(self, line: Line, final_block: int) -> Line:
        """With what became known later: the transaction of its fill, its block, and whether its entry still stands."""
        booked = self.state.adjustments.get(line.entry_id)
        line = replace(line, superseded=booked is not None and booked.superseded)
        if line.finality is not None:
            return line
        key = fill_key(line.trade_id, line.order_id)
        fill = self._fills.get(key)
        own = TRANSACTION.search(line.evidence)
        named = own or TRANSACTION.search("" if fill is None else fill.settled_by)
        transaction, log, block = (None, None, None) if named is None else named.groups()
        if transaction is None and fill is not None:
            transaction = fill.transaction_hash
        known = transaction is not None and line.proof in {Proof.EXCHANGE, Proof.INFERRED}
        line = replace(
            line,
            proof=Proof.TRANSACTION if known else line.proof,
            transaction_hash=transaction,
            log_index=None if log is None else int(log),
            block_number=None if block is None else int(block),
        )
        return replace(line, finality=self._finality(line, final_block, named_then=own is not None))

    def _finality(self, line: Line, final_block: int, *, named_then: bool) -> Finality | None:
        """``named_then``: its transaction was named when it was booked, and not only by what its fill became since."""
        if line.transaction_hash is None:
            return None
        place = (line.transaction_hash, line.block_number)
        if named_then and line.seq is not None and self._blocks.dropped(place, line.seq):
            return Finality.DROPPED
        booked = self.state.fills.get(fill_key(line.trade_id, line.order_id))
        if booked is not None and not booked.proven:
            return None  # in no block that is known: in flight, or failed
        return standing(self.state, final_block, place)


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
        return Kind.REINSTATED if back else ENDS[row.state]
    return None if _terms(row) == _terms(known) else Kind.REPRICED


def _economics(row: FillRow) -> tuple[object, ...]:
    return (row.state.effective, *_terms(row))


def _terms(row: FillRow) -> tuple[object, ...]:
    return (row.side, row.price_micro, row.size_micro, row.amount_micro, row.fee_micro)


def _fee(row: FillRow | None) -> int:
    return row.fee_micro if row is not None and row.state.effective else 0
