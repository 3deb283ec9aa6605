"""What the chain's logs show between two cycles: booked at once, and undone where the chain drops a block (X-01, X-14).

A fill of an order of ours is settled by its log; while its trade is unknown the log waits for it, or for a cycle to
find that nobody of ours made it (L-16, R-21). Every other change is an entry with its transaction, which the next cycle
reports and judges as drift (R-22).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from portfolio.adjusting import Applied, book_hint, logged_name, stands_booked
from portfolio.booking import change_fill, next_state, retold
from portfolio.entries import Cause, Fill, FillState
from portfolio.events import ChainDropped, ChainSeen
from portfolio.late_logs import LateLogs, late_logs, put_in_place, unjudged
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
from portfolio.superseding import guessed
from portfolio.tail import ChainFact
from portfolio.trades import TradeLeg
from portfolio.units import MICRO, format_micro
from portfolio.views import SettledFill


def see_chain(draft: Draft, event: ChainSeen) -> None:
    """Book what is not booked yet; what became final and was compared is nothing to undo any more (R-31)."""
    prices = _marks(draft.state, event)
    now = {fact.transaction_hash: fact.block_hash for fact in event.facts}
    # A transaction is in one block at a time.
    _undo(draft, [held for held in draft.state.tail if _moved(held.fact, now)])
    taking = _Taking(draft, event.facts)
    with draft.folding_once():
        for late in late_logs(draft.state, taking.unexplained(event.facts)):
            taking.replace(late, prices)
        for fact in event.facts:
            taking.take(fact, prices)
        taking.settle()
    if draft.changed or len(taking.tail) > len(draft.state.tail):
        open_ = (held for held in taking.tail if held.fact.block_number > event.final_block or unjudged(held))
        draft.put(tail=tuple(open_))


def drop_blocks(draft: Draft, event: ChainDropped) -> None:
    """Undo what was booked from blocks that others have replaced, the last first."""
    gone = {block.block_hash for block in event.blocks}
    _undo(draft, [held for held in draft.state.tail if held.fact.block_hash in gone])


def cancelling(state: MarketState, token_id: str, block_number: int) -> tuple[ChainFact, ...]:
    """Logs of others' fills that wait and that leave the token's balance as it was: no difference will show them."""
    waiting = [held.fact for held in state.tail if not held.booked_as and held.fact.block_number <= block_number]
    strange = (fact for fact in waiting if fact.order_id and fact.order_id not in state.orders)
    of_token = [fact for fact in strange if fact.hint.legs[0][0] == token_id]
    return tuple(of_token) if of_token and sum(fact.hint.legs[0][1] for fact in of_token) == 0 else ()


def book_cancelling(draft: Draft, facts: Iterable[ChainFact]) -> None:
    """Book them, for nobody of ours has shown their trades meanwhile (R-21)."""
    for fact in facts:
        draft.evidence = fact.hint.evidence
        _adjust(draft, fact, {}, Counter())


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
        if _shown(booked, held.fact):
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


def _moved(fact: ChainFact, now: Mapping[str, str]) -> bool:
    """Whether the chain now has the transaction in another block, by the blocks that transactions are in now."""
    return now.get(fact.transaction_hash, fact.block_hash) != fact.block_hash


def _is_of(booked: BookedFill, fact: ChainFact, taken: Collection[str]) -> bool:
    """Whether the fill was settled by this very log before, which was forgotten since."""
    fill = booked.fill
    same = fill.transaction_hash == fact.transaction_hash and fill_shares(fill) == fact.hint.legs[0][1]
    return same and booked.logged and booked.proven and fill_key(fill.trade_id, fill.order_id) not in taken


class _Taking:
    """The facts of one event being taken. What is looked up by them is found once, so that many cost as one each."""

    def __init__(self, draft: Draft, facts: Iterable[ChainFact]) -> None:
        self._draft = draft
        self.tail = list(draft.state.tail)
        self._logged = {held.fact.hint.logged_as for held in self.tail}
        self._taken = {held.booked_as for held in self.tail}
        self._moved: Counter[str] = Counter()
        self._logs: dict[str, SettledFill] = {}
        orders = {fact.order_id for fact in facts} - {""}
        self._fills: dict[str, list[str]] = {}
        for key, booked in draft.state.fills.items() if orders else ():
            if booked.fill.order_id in orders:
                self._fills.setdefault(booked.fill.order_id, []).append(key)

    def unexplained(self, facts: Iterable[ChainFact]) -> Iterator[ChainFact]:
        """Those that are not known, and of no fill of ours that is."""
        for fact in facts:
            ours = self._of_order(fact)
            if not self._knows(fact, ours) and not any(_shown(booked, fact) for booked in ours):
                yield fact

    def replace(self, late: LateLogs, prices: Mapping[str, int]) -> None:
        """Put the logs in the place of what was inferred before they could be read."""
        for held in put_in_place(self._draft, late, prices):
            self._moved.update(dict(held.fact.hint.legs))
            self._keep(held)
        for guess in late.guesses:
            self._moved.subtract({effect.token_id: effect.shares_micro for effect in guess.effects})

    def take(self, fact: ChainFact, prices: Mapping[str, int]) -> None:
        """Book it, or keep it until its trade comes, unless it is known."""
        ours = self._of_order(fact)
        if self._knows(fact, ours):
            return
        self._draft.evidence = fact.hint.evidence
        if not fact.order_id:
            booked_as = "" if fact.kept else _adjust(self._draft, fact, prices, self._moved)
            self._keep(TailFact(fact=fact, booked_as=booked_as))
            return
        fitting = [booked for booked in ours if _key(booked) not in self._logs and _shown(booked, fact)]
        named = [booked for booked in fitting if booked.fill.transaction_hash is not None]
        if fitting:
            booked = _in_flight(self._draft, (named or fitting)[0])
            self._moved[booked.fill.token_id] += fill_shares(booked.fill) - _counted(booked.fill)
            self._logs[_key(booked)] = _log_of(self._draft, booked, fact)
            self._keep(TailFact(fact=fact, booked_as=_key(booked), before=booked))
        else:
            self._keep(TailFact(fact=fact))

    def _of_order(self, fact: ChainFact) -> list[BookedFill]:
        return [self._draft.state.fills[key] for key in self._fills.get(fact.order_id, ())]

    def _knows(self, fact: ChainFact, ours: Iterable[BookedFill]) -> bool:
        if fact.hint.logged_as in self._logged or stands_booked(self._draft.state, fact.hint.logged_as):
            return True
        return any(_is_of(booked, fact, self._taken) for booked in ours)

    def _keep(self, held: TailFact) -> None:
        self.tail.append(held)
        self._logged.add(held.fact.hint.logged_as)
        self._taken.add(held.booked_as)

    def settle(self) -> None:
        """Settle the fills that were found, together."""
        logs = list(self._logs.values())
        settle(self._draft, [(log.trade_id, log.order_id) for log in logs], self._draft.evidence, logs)


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


def _shown(booked: BookedFill, fact: ChainFact) -> bool:
    return _fits(booked, fact) or _shows(booked, fact)


def _key(booked: BookedFill) -> str:
    return fill_key(booked.fill.trade_id, booked.fill.order_id)


def _settle(draft: Draft, booked: BookedFill, fact: ChainFact, rest: Iterable[TailFact]) -> None:
    booked = _in_flight(draft, booked)
    log = _log_of(draft, booked, fact)
    settle(draft, [(log.trade_id, log.order_id)], log.evidence, [log])
    draft.put(tail=(*rest, TailFact(fact=fact, booked_as=_key(booked), before=booked)))


def _log_of(draft: Draft, booked: BookedFill, fact: ChainFact) -> SettledFill:
    """The chain's amounts, which win over computed ones (R-11, R-20)."""
    fill, hint = booked.fill, fact.hint
    draft.evidence = draft.evidence_of[fill.token_id] = hint.evidence
    return SettledFill(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        amount_micro=abs(hint.cash_micro + hint.fee_micro),
        fee_micro=hint.fee_micro,
        transaction_hash=fact.transaction_hash,
        evidence=hint.evidence,
    )


def _in_flight(draft: Draft, booked: BookedFill) -> BookedFill:
    """The fill as if no balance had shown it."""
    if not booked.proven:
        return booked
    fill = replace(booked.fill, state=next_state(FillState.OBSERVED, booked.status), settled_by="")
    booked = replace(booked, fill=fill, proven=False)
    draft.put_fill(booked)
    draft.refold(fill.at)
    return booked


def _adjust(draft: Draft, fact: ChainFact, prices: Mapping[str, int], moved: Counter[str]) -> str:
    """Book an entry; its id. ``moved`` is what the event moved before, which is not in the positions yet."""
    name = logged_name(draft.state, fact.hint)
    # What the chain had dropped and has again was drift when it was first seen.
    again = name[0] != fact.hint.logged_as
    told = _explained(draft, fact, name[1].at_ns)
    for change in book_hint(draft, fact.hint, name, prices):
        held = draft.state.position(change.token_id).shares_micro + moved[change.token_id]
        moved[change.token_id] += change.shares_micro
        texts = (format_micro(held), format_micro(held + change.shares_micro), change.cause)
        if change.token_id in told:
            continue
        severity = difference_severity(change.shares_micro)
        kind = IssueType.CHAIN_REORGANISED if again else IssueType.POSITION_DRIFT
        draft.rows.append(_issue(draft, kind, severity, change.token_id, texts))
        _note(draft, replace(change, cause=Cause.REORGANISED.value) if again else change)
    return name[0]


def _explained(draft: Draft, fact: ChainFact, at_ns: int) -> frozenset[str]:
    """Take out what was booked of the fact before its log could be read; it was reported then. Its tokens (D-12)."""
    found = [(leg[0], guess) for leg in fact.hint.legs if (guess := guessed(draft, leg, at_ns)) is not None]
    for _, guess in found:
        draft.put_adjustment(replace(guess, superseded=True))
        draft.refold(guess.entry.at)
    return frozenset(token_id for token_id, _ in found)


def _note(draft: Draft, change: Applied) -> None:
    noted = NotedChange(
        condition_id=change.condition_id,
        token_id=change.token_id,
        shares_micro=change.shares_micro,
        cause=change.cause,
        evidence=change.evidence,
    )
    draft.put(noted=(*draft.state.noted, noted))


def _undo(draft: Draft, dropped: list[TailFact]) -> None:
    if not dropped:
        return
    gone = {_place(held.fact) for held in dropped}
    draft.put(tail=tuple(held for held in draft.state.tail if _place(held.fact) not in gone))
    moved: Counter[str] = Counter()
    with draft.folding_once():
        for held in reversed(dropped):
            _undo_one(draft, held, moved)


def _place(fact: ChainFact) -> tuple[str, str]:
    return fact.hint.logged_as, fact.block_hash


def _undo_one(draft: Draft, held: TailFact, moved: Counter[str]) -> None:
    fact = held.fact
    draft.evidence = f"block {fact.block_number} ({fact.block_hash}) was dropped by the chain"
    fill = draft.state.fills.get(held.booked_as)
    adjustment = draft.state.adjustments.get(held.booked_as)
    if fill is not None and held.before is not None:
        moved[fill.fill.token_id] += _unsettle(draft, fill, held.before, fact)
    elif adjustment is not None and not adjustment.superseded:
        _take_back(draft, adjustment, fact, moved)


def _unsettle(draft: Draft, booked: BookedFill, before: BookedFill, fact: ChainFact) -> int:
    """The fill as it would be without its log: in flight again, unless the exchange has said how it ended.

    Returns the shares that this moves: none, where it counts as before.
    """
    fill, was = booked.fill, before.fill
    if fill.state is FillState.SUPERSEDED:
        return 0
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
    return _counted(restored) - _counted(fill)


def _counted(fill: Fill) -> int:
    return fill_shares(fill) if fill.state.effective else 0


def _take_back(draft: Draft, booked: BookedAdjustment, fact: ChainFact, moved: Counter[str]) -> None:
    """The entry counts no more; what that changes is stated as a row of its own (D-02). ``moved`` as above."""
    draft.restated_as = Cause.REORGANISED
    draft.put_adjustment(replace(booked, superseded=True))
    draft.refold(booked.entry.at)
    for token_id, shares in fact.hint.legs:
        draft.evidence_of[token_id] = draft.evidence
        place = draft.state.token(token_id)
        held = draft.state.position(token_id).shares_micro + moved[token_id]
        moved[token_id] -= shares
        texts = (format_micro(held), format_micro(held - shares), draft.evidence)
        draft.rows.append(_issue(draft, IssueType.CHAIN_REORGANISED, difference_severity(shares), token_id, texts))
        change = Applied(
            token_id=token_id,
            condition_id=place[0].condition_id if place is not None else "",
            shares_micro=-shares,
            cause=Cause.REORGANISED.value,
            evidence=draft.evidence,
        )
        _note(draft, change)


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
