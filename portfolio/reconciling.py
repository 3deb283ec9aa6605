"""One market against one cycle's view of it: look twice, correct, name the cause, report (S-03, R-03, R-05, D-11).

The chain is the truth for balances (L-13). A difference that no fill explains is applied only when a second look at a
later block shows the same difference, and while fills are under way only after the settling window (R-05, D-12).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from portfolio.adjusting import (
    WITHIN_THE_SECOND_MS,
    Applied,
    Confirmed,
    apply_confirmed,
    connected,
    stands_booked,
    usable_hints,
)
from portfolio.chained import book_cancelling, cancelling
from portfolio.comparison import TokenExam, examine_market, stand_in_difference
from portfolio.entries import Cause
from portfolio.images import image_of
from portfolio.late_logs import explain, judge
from portfolio.orders import OrdersResult, reconcile_orders
from portfolio.outcomes import DeltaType, IssueRow, Severity
from portfolio.reasons import ISSUES, IssueType, difference_severity
from portfolio.settling import absorb, settle
from portfolio.state import Draft, PendingToken
from portfolio.tail import ChainFact
from portfolio.thresholds import cost_hint_micro
from portfolio.units import MICRO, format_micro, mul_price
from portfolio.views import CauseHint, ChainView, ExternalView, TokenImage

STRUCTURAL = frozenset(
    {Cause.POSITION_MERGED.value, Cause.POSITION_SPLIT.value, Cause.CONVERTED.value, Cause.REDEEMED.value}
)
"""Reported, but not paused on (R-22)."""

QUIET = frozenset({Cause.OPENING.value, Cause.REORGANISED.value, "FILL_FAILED", "FILL_EXPIRED", "FILL_REINSTATED"})
"""No drift: openings (R-23), own fills that were taken back or came back (R-10), and what the chain took back."""


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What a view did to a market; ``judging`` turns it into reports, alerts and a result.

    ``changes`` are per token, applied now or noted since the last view; ``pending`` wait for a second look.
    """

    changes: tuple[Applied, ...]
    pending: tuple[PendingToken, ...]
    orders: OrdersResult
    prices: dict[str, int]
    orders_before: dict[str, int]


def reconcile(draft: Draft, view: ExternalView) -> Reconciled:
    """Bring the market together with the view, writing rows for all it changes."""
    prices = {price.token_id: price.price_micro for price in view.prices}
    orders_before = _order_values(draft)
    orders = OrdersResult(changes=(), regressions=0)
    if view.orders is not None:
        orders = reconcile_orders(draft, view, view.orders)
    applied = _positions(draft, view)
    explain(draft, prices)
    # What happened before the wallet's first cycle is history, not drift.
    noted = tuple(
        Applied(
            token_id=note.token_id,
            condition_id=note.condition_id,
            shares_micro=note.shares_micro,
            cause=note.cause,
            evidence=note.evidence,
        )
        for note in (() if view.opening else draft.state.noted)
    )
    if draft.state.noted:
        draft.put(noted=())
    draft.evidence = f"cycle {view.cycle_id}"
    _hint_costs(draft, view)
    return Reconciled(
        changes=(*noted, *applied),
        pending=tuple(draft.state.pending[token_id] for token_id in sorted(draft.state.pending)),
        orders=orders,
        prices=prices,
        orders_before=orders_before,
    )


def _order_values(draft: Draft) -> dict[str, int]:
    values: dict[str, int] = {}
    for order in image_of(draft.state).orders:
        value = mul_price(order.remaining_micro, order.price_micro)
        values[order.condition_id] = values.get(order.condition_id, 0) + value
    return values


def _positions(draft: Draft, view: ExternalView) -> tuple[Applied, ...]:
    hints: tuple[CauseHint, ...] = ()
    if view.chain is not None:
        confirmed, hints = _by_chain(draft, view, view.chain)
    elif view.stand_in is not None and not view.opening:
        confirmed = _by_stand_in(draft, view)
    else:
        return ()
    if not confirmed and not hints:
        return ()
    touched = {item.token_id for item in confirmed}.union(token_id for hint in hints for token_id, _ in hint.legs)
    before = {token_id: draft.state.position(token_id).shares_micro for token_id in touched}
    applied = apply_confirmed(draft, view, confirmed, hints)
    for item in confirmed:
        if item.absorbing:
            absorb(draft, item.token_id)
    for change in applied:
        _drift_issue(draft, view, change, before[change.token_id])
    return applied


def _by_chain(draft: Draft, view: ExternalView, chain: ChainView) -> tuple[list[Confirmed], tuple[CauseHint, ...]]:
    """Differences from the balances at the pinned block that have had their second look, and their causes.

    The legs of one cause are applied together: a token waits for another leg that has not had its second look.
    """
    block = f"balance at block {chain.block_number}"
    if view.opening and draft.state.pending:
        # An opening takes the balances as they are; what was seen before it is part of no difference.
        draft.put(pending={key: value for key, value in draft.state.pending.items() if draft.state.adjusted(key)})
    exams = examine_market(image_of(draft.state), chain, view.policy.settle_window_ms)
    explained = [key for exam in exams for key in exam.explained]
    if explained:
        settle(draft, explained, block, chain.settled)
    ready: dict[str, TokenExam] = {}
    certain = _certain_hints(draft, view, [exam for exam in exams if exam.token_id not in chain.waiting])
    shown = {token_id for hint in certain for token_id, _ in hint.legs}
    for exam in exams:
        cancelled = () if exam.difference_micro else cancelling(draft.state, exam.token_id, chain.block_number)
        if exam.difference_micro == 0:
            _no_difference(draft, view, exam, cancelled)
        elif exam.token_id in chain.waiting:
            _looked_twice(draft, view, exam, chain.block_number)
        elif exam.token_id in shown or _seen_enough(draft, view, exam, chain.block_number):
            ready[exam.token_id] = exam
    found = {token_id: exam.difference_micro for token_id, exam in ready.items() if token_id not in shown}
    waiting = [token_id for token_id in draft.state.pending if token_id not in ready]
    equal = dict.fromkeys((exam.token_id for exam in exams if exam.difference_micro == 0), 0)
    judge(draft, chain.block_number, equal)
    hints, held = usable_hints(_explaining(draft, view, found), equal | found, waiting)
    confirmed = []
    for token_id, exam in ready.items():
        if token_id not in held:
            _forget(draft, token_id)
            confirmed.append(_confirmed(exam, block, chain.block_time_ms + WITHIN_THE_SECOND_MS))
    return confirmed, (*certain, *hints)


def _no_difference(draft: Draft, view: ExternalView, exam: TokenExam, cancelled: Sequence[ChainFact]) -> None:
    """Fills of others that leave no difference are booked at a second look, as any that leaves one."""
    block_number = view.chain.block_number if view.chain is not None else None
    if cancelled and not _looked_twice(draft, view, exam, block_number):
        return
    book_cancelling(draft, cancelled)
    _forget(draft, exam.token_id)


def _certain_hints(draft: Draft, view: ExternalView, exams: Sequence[TokenExam]) -> tuple[CauseHint, ...]:
    """What the chain's logs say of differences in full: there is nothing that a second look could add (X-01).

    An opening takes the balance as it is, and what was booked under its log is not booked twice (L-19).
    """
    if view.opening:
        return ()
    found = {exam.token_id: exam.difference_micro for exam in exams}
    usable, _ = usable_hints(_unbooked_logs(draft, view), found, ())
    return tuple(hint for group in connected(usable) if all(hint.certain for hint in group) for hint in group)


def _explaining(draft: Draft, view: ExternalView, ready: Collection[str]) -> tuple[CauseHint, ...]:
    """The logs that touch the ready differences, with all that these hang together with.

    Where there are none, it is what was known when the differences were first seen: cash, or logs not read now.
    """
    logs = () if view.opening else _unbooked_logs(draft, view)
    found: dict[CauseHint, None] = {}
    for group in connected(logs):
        if any(token_id in ready for hint in group for token_id, _ in hint.legs):
            found |= dict.fromkeys(group)
    told = {token_id for hint in found for token_id, _ in hint.legs}
    pending = (draft.state.pending[token_id] for token_id in ready if token_id in draft.state.pending)
    first = (hint for known in pending for hint in known.hints)
    return tuple(found | dict.fromkeys(hint for hint in first if not any(leg[0] in told for leg in hint.legs)))


def _unbooked_logs(draft: Draft, view: ExternalView) -> tuple[CauseHint, ...]:
    """The logs up to the view's block that are in no entry: those that it brings, and those that wait here (L-16)."""
    block_number = view.chain.block_number if view.chain is not None else 0
    waiting = (held.fact for held in draft.state.tail if not held.booked_as)
    here = {fact.hint.logged_as: fact.hint for fact in waiting if fact.block_number <= block_number}
    logs = here | {hint.logged_as: hint for hint in view.hints if hint.logged_as}
    return tuple(hint for hint in logs.values() if not stands_booked(draft.state, hint.logged_as))


def _hints_of(view: ExternalView, token_id: str) -> tuple[CauseHint, ...]:
    return tuple(hint for hint in view.hints if any(token == token_id for token, _ in hint.legs))


def _confirmed(exam: TokenExam, evidence: str, at_ms: int) -> Confirmed:
    return Confirmed(
        token_id=exam.token_id,
        condition_id=exam.condition_id,
        difference_micro=exam.difference_micro,
        evidence=f"{evidence}, inferred",
        at_ms=at_ms,
        absorbing=exam.absorbing,
    )


def _by_stand_in(draft: Draft, view: ExternalView) -> list[Confirmed]:
    """The Data API in the chain's place: it may add and update, never close (R-01, D-13)."""
    confirmed = []
    tokens = {token.token_id: token for token in image_of(draft.state).tokens}
    for row in sorted(view.stand_in or (), key=lambda row: row.token_id):
        token = tokens.get(row.token_id)
        if token is None:
            continue
        exam = _stand_in_exam(token, row.size_micro)
        if exam.difference_micro == 0:
            _forget(draft, token.token_id)
        elif _looked_twice(draft, view, exam, None):
            _forget(draft, token.token_id)
            confirmed.append(
                _confirmed(exam, "the Data API's position while the chain could not be read", draft.now_ms)
            )
    return confirmed


def _stand_in_exam(token: TokenImage, size_micro: int) -> TokenExam:
    return TokenExam(
        token_id=token.token_id,
        condition_id=token.condition_id,
        outcome_index=token.outcome_index,
        question_index=token.question_index,
        balance_micro=size_micro,
        difference_micro=stand_in_difference(token, size_micro),
        waiting=bool(token.unproven),
    )


def _seen_enough(draft: Draft, view: ExternalView, exam: TokenExam, block_number: int) -> bool:
    return _opens(draft, view, exam) or _looked_twice(draft, view, exam, block_number)


def _opens(draft: Draft, view: ExternalView, exam: TokenExam) -> bool:
    """Whether the difference is the token's opening, which needs no second look (R-23)."""
    return view.opening and not draft.state.adjusted(exam.token_id)


def _looked_twice(draft: Draft, view: ExternalView, exam: TokenExam, block_number: int | None) -> bool:
    """Whether the same difference was seen in an earlier cycle and, where the chain gave both, at an earlier block."""
    known = draft.state.pending.get(exam.token_id)
    if known is None or known.difference_micro != exam.difference_micro or _is_another(draft, view, known):
        pending = PendingToken(
            token_id=exam.token_id,
            difference_micro=exam.difference_micro,
            block_number=block_number,
            since_ms=draft.now_ms,
            cycle_id=view.cycle_id,
            hints=_hints_of(view, exam.token_id),
        )
        draft.put(pending={**draft.state.pending, exam.token_id: pending})
        if exam.difference_micro:
            _pending_issue(draft, view, exam)
        return False
    if known.cycle_id == view.cycle_id:
        return False
    if block_number is not None and known.block_number is not None and block_number <= known.block_number:
        return False
    return not exam.waiting or draft.now_ms - known.since_ms >= view.policy.settle_window_ms


def _is_another(draft: Draft, view: ExternalView, known: PendingToken) -> bool:
    """Whether a difference of that size is another one by now: its logs found their trades, or are others (L-16)."""
    told = {hint.logged_as for hint in known.hints if hint.logged_as}
    shown = {hint.logged_as for hint in _hints_of(view, known.token_id) if hint.logged_as}
    booked = {held.fact.hint.logged_as for held in draft.state.tail if held.booked_as}
    return bool(told & booked) or (bool(told and shown) and told != shown)


def _forget(draft: Draft, token_id: str) -> None:
    if token_id in draft.state.pending:
        draft.put(pending={key: value for key, value in draft.state.pending.items() if key != token_id})


def _pending_issue(draft: Draft, view: ExternalView, exam: TokenExam) -> None:
    held = draft.state.position(exam.token_id).settled_micro
    texts = (format_micro(held), format_micro(exam.balance_micro), "waits for a second look")
    _issue(draft, view, (IssueType.DIFFERENCE_PENDING, Severity.INFO), exam.token_id, texts)


def _drift_issue(draft: Draft, view: ExternalView, change: Applied, before_micro: int) -> None:
    if change.cause == Cause.OPENING.value:
        return
    texts = (format_micro(before_micro), format_micro(before_micro + change.shares_micro), change.cause)
    _issue(draft, view, (IssueType.POSITION_DRIFT, difference_severity(change.shares_micro)), change.token_id, texts)


def _issue(
    draft: Draft, view: ExternalView, kind: tuple[IssueType, Severity], subject: str, texts: tuple[str, str, str]
) -> None:
    draft.rows.append(
        IssueRow(
            wallet=draft.state.wallet,
            type=kind[0].value,
            severity=kind[1],
            action=ISSUES[kind[0]].action,
            market_id=draft.state.market_id,
            subject=subject,
            before=texts[0],
            after=texts[1],
            cause=texts[2],
            cycle_id=view.cycle_id,
            at_ms=draft.now_ms,
        )
    )


def _hint_costs(draft: Draft, view: ExternalView) -> None:
    """A difference in average cost is a hint at a missed trade; it never changes books (R-03, L-09)."""
    for row in view.entry_costs:
        hint = cost_hint(draft.state.position(row.token_id).average_micro, row.size_micro, row.entry_cost_micro)
        if hint is None or draft.state.cost_hints.get(row.token_id) == hint:
            continue
        draft.put(cost_hints={**draft.state.cost_hints, row.token_id: hint})
        texts = (format_micro(hint[0]), format_micro(hint[1]), "average cost differs: a trade may be missing")
        _issue(draft, view, (IssueType.COST_HINT, Severity.WARN), row.token_id, texts)


def cost_hint(own_average_micro: int | None, size_micro: int, entry_cost_micro: int) -> tuple[int, int] | None:
    """(own, external) average where they differ by more than R-03 allows, else None."""
    if size_micro <= 0 or own_average_micro is None:
        return None
    external = entry_cost_micro * MICRO // size_micro
    return None if cost_hint_micro(own_average_micro, external) is None else (own_average_micro, external)


def changes_by_condition(changes: Sequence[Applied]) -> Mapping[str, tuple[Applied, ...]]:
    """Changes grouped by condition, in order of condition id."""
    grouped: dict[str, tuple[Applied, ...]] = {}
    for change in sorted(changes, key=lambda change: (change.condition_id, change.token_id)):
        grouped[change.condition_id] = (*grouped.get(change.condition_id, ()), change)
    return grouped


def delta_type(before_micro: int, after_micro: int) -> DeltaType:
    """ADDED from nothing, REMOVED to nothing, else UPDATED (S-03)."""
    if before_micro == 0:
        return DeltaType.ADDED
    return DeltaType.REMOVED if after_micro == 0 else DeltaType.UPDATED
