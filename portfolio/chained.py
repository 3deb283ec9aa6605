"""What the chain's logs show between two cycles: booked at once, and undone where the chain drops a block (X-01, X-14).

A fill of an order of ours is settled by its log; while its trade is unknown the log waits for it, or for a cycle to
find that nobody of ours made it (L-16, R-21). Every other change is an entry with its transaction, which the next cycle
reports and judges as drift (R-22).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from portfolio.adjusting import Applied, book_hint, logged_name, stands_booked
from portfolio.booking import change_fill, next_state, retold
from portfolio.entries import Cause, FillState
from portfolio.events import ChainDropped, ChainSeen
from portfolio.outcomes import IssueAction, IssueRow, Severity
from portfolio.reasons import ISSUES, IssueType, difference_severity
from portfolio.settling import settle
from portfolio.state import (
    BookedAdjustment,
    BookedFill,
    Draft,
    MarketState,
    NotedChange,
    TailFact,
    fill_key,
    fill_shares,
)
from portfolio.tail import ChainFact
from portfolio.trades import TradeLeg
from portfolio.units import MICRO, format_micro
from portfolio.views import SettledFill

STRUCTURAL = frozenset({Cause.POSITION_MERGED, Cause.POSITION_SPLIT, Cause.CONVERTED, Cause.REDEEMED})
"""Causes that are reported, but not paused on (R-22)."""


def see_chain(draft: Draft, event: ChainSeen) -> None:
    """Book what is not booked yet; what became final and was compared is nothing to undo any more (R-31)."""
    prices = _marks(draft.state, event)
    for fact in event.facts:
        _undo(draft, [held for held in draft.state.tail if _moved(held.fact, fact)])
        if not _known(draft.state, fact):
            _take(draft, fact, prices)
    if draft.changed:
        draft.put(tail=tuple(held for held in draft.state.tail if held.fact.block_number > event.final_block))


def drop_blocks(draft: Draft, event: ChainDropped) -> None:
    """Undo what was booked from blocks that others have replaced, the last first."""
    gone = {block.block_hash for block in event.blocks}
    _undo(draft, [held for held in draft.state.tail if held.fact.block_hash in gone])


def _marks(state: MarketState, event: ChainSeen) -> Mapping[str, int]:
    """What shares are carried at: the cycle's prices; while there are none, metadata's, own average, or 1 (R-03)."""
    marks: dict[str, int] = {}
    for token_id in dict.fromkeys(token_id for fact in event.facts for token_id, _ in fact.hint.legs):
        place = state.token(token_id)
        known = (place[1].price_micro if place is not None else None, state.position(token_id).average_micro)
        marks[token_id] = next((price for price in known if price is not None), MICRO)
    return marks | {price.token_id: price.price_micro for price in event.prices}


def claim(draft: Draft, leg: TradeLeg) -> None:
    """A trade was seen: the log that waits for it settles it, and is undone with it if its block is dropped."""
    booked = draft.state.fills[fill_key(leg.trade_id, leg.order_id)]
    for held in draft.state.tail:
        if held.fact.order_id != leg.order_id or not _waits(draft.state, held):
            continue
        rest = [one for one in draft.state.tail if one is not held]
        if _fits(booked, held.fact) or _shows(booked, held.fact):
            _settle(draft, booked, held.fact, rest)
            return
        if booked.logged and _is_of(booked, held.fact, ()):
            # The trade has just taken the place of what a cycle had booked as somebody else's (D-12).
            key = fill_key(leg.trade_id, leg.order_id)
            draft.put(tail=(*rest, TailFact(fact=held.fact, booked_as=key, before=_untold(booked, leg))))
            return


def _waits(state: MarketState, held: TailFact) -> bool:
    """Whether the fact is in no entry that counts: it waits for its trade, or its entry gave way to one (D-12)."""
    adjustment = state.adjustments.get(held.booked_as)
    return not held.booked_as or (adjustment is not None and adjustment.superseded)


def _untold(booked: BookedFill, leg: TradeLeg) -> BookedFill:
    """The fill as the exchange alone tells it."""
    fill = retold(replace(booked.fill, state=FillState.OBSERVED), leg, logged=False)
    fill = replace(fill, transaction_hash=leg.transaction_hash, settled_by="")
    return replace(booked, fill=fill, proven=False, logged=False)


def _moved(old: ChainFact, new: ChainFact) -> bool:
    """Whether the chain now has the transaction in another block: it is in one at a time."""
    return old.transaction_hash == new.transaction_hash and old.block_hash != new.block_hash


def _known(state: MarketState, fact: ChainFact) -> bool:
    if any(held.fact.hint.logged_as == fact.hint.logged_as for held in state.tail):
        return True
    if stands_booked(state, fact.hint.logged_as):
        return True
    taken = {held.booked_as for held in state.tail}
    return any(_is_of(booked, fact, taken) for booked in _fills_of(state, fact.order_id) if fact.order_id)


def _is_of(booked: BookedFill, fact: ChainFact, taken: Collection[str]) -> bool:
    """Whether the fill was settled by this very log before, which was forgotten since."""
    fill = booked.fill
    same = fill.transaction_hash == fact.transaction_hash and fill_shares(fill) == fact.hint.legs[0][1]
    return same and booked.logged and booked.proven and fill_key(fill.trade_id, fill.order_id) not in taken


def _fills_of(state: MarketState, order_id: str) -> list[BookedFill]:
    return [booked for booked in state.fills.values() if booked.fill.order_id == order_id]


def _take(draft: Draft, fact: ChainFact, prices: Mapping[str, int]) -> None:
    draft.evidence = fact.hint.evidence
    if not fact.order_id:
        _adjust(draft, fact, prices)
        return
    ours = _fills_of(draft.state, fact.order_id)
    fitting = [booked for booked in ours if _fits(booked, fact) or _shows(booked, fact)]
    named = [booked for booked in fitting if booked.fill.transaction_hash is not None]
    if fitting:
        _settle(draft, (named or fitting)[0], fact, draft.state.tail)
    else:
        draft.put(tail=(*draft.state.tail, TailFact(fact=fact)))


def _fits(booked: BookedFill, fact: ChainFact) -> bool:
    """Whether the log can be this fill's: by its transaction, or by its size while that is not known (L-03)."""
    fill = booked.fill
    open_ = fill.state is FillState.EXPIRED or (fill.state.effective and not booked.proven)
    same = fill.transaction_hash in {fact.transaction_hash, None}
    return open_ and same and fill_shares(fill) == fact.hint.legs[0][1]


def _shows(booked: BookedFill, fact: ChainFact) -> bool:
    """Whether the log is of a fill that a balance alone has shown: it names its amounts, and its block may go."""
    fill = booked.fill
    same = fill.transaction_hash == fact.transaction_hash and fill_shares(fill) == fact.hint.legs[0][1]
    return same and fill.state.effective and booked.proven and not booked.logged


def _settle(draft: Draft, booked: BookedFill, fact: ChainFact, rest: Iterable[TailFact]) -> None:
    """The chain's amounts win over computed ones (R-11, R-20)."""
    booked = _in_flight(draft, booked)
    fill, hint = booked.fill, fact.hint
    draft.evidence = draft.evidence_of[fill.token_id] = hint.evidence
    log = SettledFill(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        amount_micro=abs(hint.cash_micro + hint.fee_micro),
        fee_micro=hint.fee_micro,
        transaction_hash=fact.transaction_hash,
        evidence=hint.evidence,
    )
    settle(draft, [(fill.trade_id, fill.order_id)], hint.evidence, [log])
    held = TailFact(fact=fact, booked_as=fill_key(fill.trade_id, fill.order_id), before=booked)
    draft.put(tail=(*rest, held))


def _in_flight(draft: Draft, booked: BookedFill) -> BookedFill:
    """The fill as if no balance had shown it."""
    if not booked.proven:
        return booked
    fill = replace(booked.fill, state=next_state(FillState.OBSERVED, booked.status), settled_by="")
    booked = replace(booked, fill=fill, proven=False)
    draft.put_fill(booked)
    draft.refold(fill.at)
    return booked


def _adjust(draft: Draft, fact: ChainFact, prices: Mapping[str, int]) -> None:
    before = {token_id: draft.state.position(token_id).shares_micro for token_id, _ in fact.hint.legs}
    name = logged_name(draft.state, fact.hint)
    for change in book_hint(draft, fact.hint, name, prices):
        held = before[change.token_id]
        texts = (format_micro(held), format_micro(held + change.shares_micro), change.cause)
        severity = difference_severity(change.shares_micro)
        draft.rows.append(_issue(draft, IssueType.POSITION_DRIFT, severity, change.token_id, texts))
        _note(draft, change, pausing=fact.hint.cause not in STRUCTURAL)
    draft.put(tail=(*draft.state.tail, TailFact(fact=fact, booked_as=name[0])))


def _note(draft: Draft, change: Applied, *, pausing: bool) -> None:
    noted = NotedChange(
        condition_id=change.condition_id,
        token_id=change.token_id,
        shares_micro=change.shares_micro,
        cause=change.cause,
        evidence=change.evidence,
        pausing=pausing,
    )
    draft.put(noted=(*draft.state.noted, noted))


def _undo(draft: Draft, dropped: list[TailFact]) -> None:
    for held in reversed(dropped):
        fact = held.fact
        draft.evidence = f"block {fact.block_number} ({fact.block_hash}) was dropped by the chain"
        draft.put(tail=tuple(one for one in draft.state.tail if one is not held))
        fill = draft.state.fills.get(held.booked_as)
        adjustment = draft.state.adjustments.get(held.booked_as)
        if fill is not None and held.before is not None:
            _unsettle(draft, fill, held.before, fact)
        elif adjustment is not None and not adjustment.superseded:
            _take_back(draft, adjustment, fact)


def _unsettle(draft: Draft, booked: BookedFill, before: BookedFill, fact: ChainFact) -> None:
    """The fill as it would be without its log: in flight again, unless the exchange has said how it ended."""
    fill, was = booked.fill, before.fill
    if fill.state is FillState.SUPERSEDED:
        return
    # A receipt that had settled it was of the block that is gone.
    flying = FillState.OBSERVED if was.state is FillState.SETTLED else was.state
    told = fill.transaction_hash != fact.transaction_hash or booked.hash_told > before.hash_told
    restored = replace(
        fill,
        state=next_state(flying, booked.status),
        transaction_hash=fill.transaction_hash if told else was.transaction_hash,
        settled_by="",
    )
    if booked.logged and (fill.side, fill.size_micro) == (was.side, was.size_micro):
        restored = replace(restored, amount_micro=was.amount_micro, fee_micro=was.fee_micro)
    back = replace(booked, fill=restored, proven=False, logged=before.logged, updated_at_ms=draft.now_ms)
    draft.restated_as = Cause.REORGANISED
    draft.evidence_of[fill.token_id] = draft.evidence
    change_fill(draft, booked, back)
    draft.refold(min(fill.at, restored.at))
    texts = (fill.state.value, restored.state.value, draft.evidence)
    subject = fill_key(fill.trade_id, fill.order_id)
    draft.rows.append(_issue(draft, IssueType.CHAIN_REORGANISED, Severity.INFO, subject, texts))


def _take_back(draft: Draft, booked: BookedAdjustment, fact: ChainFact) -> None:
    """The entry counts no more; what that changes is stated as a row of its own (D-02)."""
    draft.restated_as = Cause.REORGANISED
    draft.put_adjustment(replace(booked, superseded=True))
    draft.refold(booked.entry.at)
    for token_id, shares in fact.hint.legs:
        draft.evidence_of[token_id] = draft.evidence
        place = draft.state.token(token_id)
        held = draft.state.position(token_id).shares_micro
        texts = (format_micro(held + shares), format_micro(held), draft.evidence)
        draft.rows.append(_issue(draft, IssueType.CHAIN_REORGANISED, difference_severity(shares), token_id, texts))
        change = Applied(
            token_id=token_id,
            condition_id=place[0].condition_id if place is not None else "",
            shares_micro=-shares,
            cause=Cause.REORGANISED.value,
            evidence=draft.evidence,
        )
        _note(draft, change, pausing=False)


def _issue(draft: Draft, kind: IssueType, severity: Severity, subject: str, texts: tuple[str, str, str]) -> IssueRow:
    action: IssueAction = ISSUES[kind].action
    return IssueRow(
        wallet=draft.state.wallet,
        type=kind.value,
        severity=severity,
        action=action,
        market_id=draft.state.market_id,
        subject=subject,
        before=texts[0],
        after=texts[1],
        cause=texts[2],
        cycle_id="",
        at_ms=draft.now_ms,
    )
