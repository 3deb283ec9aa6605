"""The transition of one market: (state, event, now) → (new state, rows, result), pure and deterministic (L-19).

A transition that raises leaves the state as it was (D-19); an event that changes nothing and says nothing gives the
same state back and is not journaled (D-16).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

import msgspec
from msgspec.structs import replace

from portfolio.booking import see_fill
from portfolio.chained import claim, drop_blocks, see_chain
from portfolio.entries import FillState
from portfolio.events import (
    ChainDropped,
    ChainSeen,
    EntryMarked,
    EventRejected,
    FillChecked,
    FillSeen,
    MarketDefined,
    MarketEvent,
    MarketResumed,
    OrderChecked,
    OrderSeen,
    TradeRecorded,
)
from portfolio.facts import Side
from portfolio.images import flag_mismatch
from portfolio.invariants import Breach, accounting_breaches, position_breaches, shortfall_breaches
from portfolio.judging import ViewResult, judge_view
from portfolio.lifecycle import check_fill, check_order
from portfolio.orders import see_order
from portfolio.outcomes import Alert, IssueAction, IssueRow, Outcome
from portfolio.position import EntryEffect
from portfolio.reasons import ISSUES, REASONS, IssueType, ReasonCode
from portfolio.reconciling import reconcile
from portfolio.recording import mark_external, record_trade
from portfolio.rows import changed_positions, meta_rows
from portfolio.state import Draft, MarketState
from portfolio.token_ids import contradictions, sentence, words
from portfolio.units import format_micro
from portfolio.views import ChainView, ExternalView


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What a transition gives. ``result`` is set for a view; ``refused`` says why a command was not obeyed.

    ``counted`` names what was late or repeated, for the metrics (L-05). ``effects`` are what the entries that were
    booked did at their own places; the rest of what changed is stated in the rows (D-02).
    """

    state: MarketState
    rows: tuple[Outcome, ...] = ()
    result: ViewResult | None = None
    refused: str = ""
    counted: tuple[str, ...] = ()
    effects: tuple[EntryEffect, ...] = ()


def transition(state: MarketState, event: MarketEvent, now_ms: int, *, rows: bool = True) -> Step:
    """Apply one event, taken at ``now_ms``; without ``rows`` those of what it changed may be left out."""
    draft = Draft(state, now_ms)
    draft.wants_rows = rows
    result: ViewResult | None = None
    refused = ""
    match event:
        case FillSeen():
            see_fill(draft, event)
            if state.tail:
                claim(draft, event.leg)
        case OrderSeen() | FillChecked() | OrderChecked() | ChainSeen() | ChainDropped():
            _observe(draft, event)
        case ExternalView():
            result = judge_view(draft, event, reconcile(draft, event))
        case MarketDefined():
            _define(draft, event)
            _compare_ids(draft, event)
        case TradeRecorded() | EntryMarked() | MarketResumed():
            refused = _obey(draft, event)
        case EventRejected():
            _halt(draft, f"{event.kind} could not be processed: {event.detail}", IssueType.REJECTED_MESSAGE)
        case _:  # pragma: no cover - mypy proves that no kind of event is left
            assert_never(event)
    if refused:
        return Step(state=state, refused=refused)
    draft.rows += changed_positions(draft)
    _note_shortfalls(draft)
    _check(draft, event)
    counted = tuple(draft.counted)
    if not draft.changed and not draft.rows:
        return Step(state=state, result=result, counted=counted)
    draft.state = replace(draft.state, version=state.version + 1)
    given, effects = tuple(draft.rows), tuple(draft.effects)
    return Step(state=draft.state, rows=given, result=result, counted=counted, effects=effects)


def _observe(draft: Draft, event: OrderSeen | FillChecked | OrderChecked | ChainSeen | ChainDropped) -> None:
    """What was seen of an order or on the chain, or came of a look-up."""
    match event:
        case ChainSeen():
            see_chain(draft, event)
        case ChainDropped():
            drop_blocks(draft, event)
        case OrderSeen():
            see_order(draft, event)
        case FillChecked():
            check_fill(draft, event)
        case _:
            check_order(draft, event)


def _obey(draft: Draft, command: TradeRecorded | EntryMarked | MarketResumed) -> str:
    """What an operator wants; returns the reason for a refusal, or an empty text."""
    match command:
        case TradeRecorded():
            return record_trade(draft, command)
        case EntryMarked():
            return mark_external(draft, command)
        case _:
            return _resume(draft, command)


def _define(draft: Draft, event: MarketDefined) -> None:
    """Take in metadata: what differs replaces what was known of the same condition."""
    known = {meta.condition_id: meta for meta in draft.state.metas}
    changed = [meta for meta in event.metas if known.get(meta.condition_id) != meta]
    count = event.question_count if event.question_count is not None else draft.state.question_count
    if not changed and count == draft.state.question_count:
        return
    known.update({meta.condition_id: meta for meta in changed})
    metas = tuple(known[condition_id] for condition_id in sorted(known))
    draft.put(metas=metas, question_count=count)
    for meta in changed:
        draft.rows.extend(meta_rows(draft.state, meta, draft.now_ms))
        if flag_mismatch(meta):
            before, after = f"metadata says {meta.neg_risk_claimed}", f"token ids prove {meta.neg_risk_derived}"
            _issue(draft, IssueType.NEG_RISK_FLAG_MISMATCH, meta.condition_id, (before, after, "metadata is wrong"))


def _compare_ids(draft: Draft, event: MarketDefined) -> None:
    """Keep what the contract contradicts of the metadata's token ids, with an issue each and one alert (R-18)."""
    known = draft.state.contradicted
    found = contradictions(known, event.token_ids, draft.state.metas)
    if found == known:
        return
    draft.put(contradicted=found)
    new = [check for condition_id, check in found.items() if known.get(condition_id) != check]
    for check in new:
        kind = IssueType.POSITION_IDS_MISMATCH
        _issue(draft, kind, check.condition_id, words(check), ISSUES[kind].action)
    if new:
        more = f"; and {len(new) - 1} more conditions of this market" if len(new) > 1 else ""
        text = sentence(draft.state.market_id, new[0]) + more
        _alert(draft, ReasonCode.PORTFOLIO_SYNC_POSITION_IDS_MISMATCH, text)


def _resume(draft: Draft, event: MarketResumed) -> str:
    """Take the market out of its halt; returns the reason for a refusal, or an empty text (R-29)."""
    if not draft.state.halted:
        return f"market {draft.state.market_id} is not halted"
    breaches = _breaches(draft.state, draft.state.positions)
    if breaches:
        first = breaches[0]
        return (
            f"{first.invariant_id.value} still fails for {first.subject}: expected {first.expected}, was {first.found}"
        )
    draft.put(halted="")
    _market_rows(draft)
    code = ReasonCode.PORTFOLIO_SYNC_MARKET_RESUMED
    _alert(draft, code, f"resumed by {event.operator}: {event.reason}")
    return ""


def _pinned_tokens(chain: ChainView, state: MarketState) -> Collection[str]:
    """The tokens whose balance at a pinned block the view brings, and that no log behind that block moves."""
    later = (held.fact for held in state.tail if held.fact.block_number > chain.block_number)
    moved = {token_id for fact in later for token_id, _ in fact.hint.legs}
    return {token_id for token_id, _ in chain.balances} - moved


def _breaches(state: MarketState, pinned: Collection[str]) -> tuple[Breach, ...]:
    """Critical breaches of the positions, of the unchanged ones too: what is stored may have been tampered with.

    Settled inventory below zero is judged only for ``pinned`` tokens, and not while a difference waits for its second
    look or a fill for its proof: until then the missing purchase may still be seen (R-24).
    """
    judged = set(pinned) - set(state.pending) - _unproven(state) if pinned else set()
    found: list[Breach] = []
    for token_id, position in state.positions.items():
        found += position_breaches(position) if token_id in judged else accounting_breaches(position)
    return tuple([breach for breach in found if breach.critical]) if found else ()


def _unproven(state: MarketState) -> set[str]:
    """Tokens with fills that count and that no balance has shown yet."""
    return {
        booked.fill.token_id for booked in state.fills.values() if booked.fill.state.effective and not booked.proven
    }


def _note_shortfalls(draft: Draft) -> None:
    """Since when more was sold than is held: the market's gate closes until the purchase is seen (R-24)."""
    if draft.state.positions is draft.before.positions:
        return
    known = draft.state.short_since
    alone = draft.moved_alone
    if alone and not known and draft.state.positions[alone].shares_micro >= 0:
        return
    short = {token_id for token_id, position in draft.state.positions.items() if position.shares_micro < 0}
    if short == known.keys():
        return
    for token_id in sorted(short - known.keys()):
        shares = draft.state.positions[token_id].shares_micro
        _issue(draft, IssueType.SHORTFALL_PENDING, token_id, ("0.0", format_micro(shares), "sold before it was bought"))
    draft.put(short_since={token_id: known.get(token_id, draft.now_ms) for token_id in sorted(short)})


def _stays_short(draft: Draft, view: ExternalView) -> tuple[Breach, ...]:
    """Shortfalls that a cycle finds older than the settling window, and that nothing which waits may explain.

    That is a difference before its second look, a log whose trade the exchange has not shown (L-16), or a sale in
    flight that was not looked up yet: it may turn out to have failed (R-10).
    """
    logs = (held.fact.hint.legs for held in draft.state.tail if not held.booked_as)
    waiting = draft.state.pending.keys() | {token_id for legs in logs for token_id, _ in legs}
    waiting |= _sold_in_flight(draft.state)
    now_ms = draft.now_ms
    overdue = (
        (token_id, since_ms)
        for token_id, since_ms in draft.state.short_since.items()
        if now_ms - since_ms >= view.policy.settle_window_ms and token_id not in waiting
    )
    return tuple(
        breach
        for token_id, since_ms in overdue
        for breach in shortfall_breaches(draft.state.position(token_id), since_ms, now_ms)
    )


def _sold_in_flight(state: MarketState) -> set[str]:
    """Tokens with sales in flight that nobody has looked up yet."""
    fills = {
        booked.fill.token_id
        for booked in state.fills.values()
        if booked.fill.state is FillState.OBSERVED and booked.fill.side is Side.SELL and not booked.not_before_ms
    }
    orders = (order for order in state.orders.values() if order.side is Side.SELL and not order.not_before_ms)
    return fills | {order.token_id for order in orders if order.waiting_micro > order.proven_micro}


def _check(draft: Draft, event: MarketEvent) -> None:
    """Check the invariants after a change; a critical breach halts the market and pages (L-12, L-21)."""
    for breach in draft.breaches:
        _note_breach(draft, breach)
    if draft.state.halted or not (draft.changed or draft.state.short_since):
        return
    if type(event) is ExternalView and event.chain is not None:
        breaches = _breaches(draft.state, _pinned_tokens(event.chain, draft.state)) + _stays_short(draft, event)
    else:
        breaches = _breaches(draft.state, ())
    if breaches:
        first = breaches[0]
        detail = f"{first.invariant_id.value} {first.subject}: expected {first.expected}, was {first.found}"
        _halt(draft, detail, IssueType.INVARIANT_BREACH)


def _note_breach(draft: Draft, breach: Breach) -> None:
    """A rule about one fill or order that does not hold: an issue and an alert; the position is not in doubt (L-21)."""
    texts = (breach.expected, breach.found, f"{breach.invariant_id.value}: {breach.detail}")
    _issue(draft, IssueType.INVARIANT_BREACH, breach.subject, texts, IssueAction.REQUIRES_MANUAL)
    text = f"{texts[2]}; {breach.subject}: expected {breach.expected}, was {breach.found}"
    _alert(draft, ReasonCode.PORTFOLIO_SYNC_INVARIANT_BREACH, text)


def _halt(draft: Draft, detail: str, kind: IssueType) -> None:
    draft.put(halted=detail)
    _market_rows(draft)
    _issue(draft, kind, draft.state.market_id, ("running", "halted", detail), IssueAction.REQUIRES_MANUAL)
    _alert(draft, ReasonCode.PORTFOLIO_SYNC_MARKET_HALTED, detail)


def _market_rows(draft: Draft) -> None:
    for meta in draft.state.metas:
        draft.rows.extend(meta_rows(draft.state, meta, draft.now_ms)[:1])


def _issue(
    draft: Draft,
    kind: IssueType,
    subject: str,
    texts: tuple[str, str, str],
    action: IssueAction = IssueAction.LOGGED,
) -> None:
    draft.rows.append(
        IssueRow(
            wallet=draft.state.wallet,
            type=kind.value,
            severity=ISSUES[kind].severity,
            action=action,
            market_id=draft.state.market_id,
            subject=subject,
            before=texts[0],
            after=texts[1],
            cause=texts[2],
            cycle_id="",
            at_ms=draft.now_ms,
        )
    )


def _alert(draft: Draft, code: ReasonCode, text: str) -> None:
    draft.rows.append(
        Alert(
            wallet=draft.state.wallet,
            key=f"{draft.state.market_id}:{draft.state.version + 1}:{code.value}",
            code=code.value,
            severity=REASONS[code].severity,
            route=REASONS[code].route.value,
            market_id=draft.state.market_id,
            text=text,
            at_ms=draft.now_ms,
        )
    )
