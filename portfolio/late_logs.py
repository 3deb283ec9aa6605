"""Logs that are read after a balance or the Data API had shown what they tell, while they could not be (D-12, L-14).

Until then their changes are in entries that were inferred, one for the sum of several at times. Once the logs are here,
those give way to one entry for each log: its cause, its cost, its time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from portfolio.adjusting import book_hint, connected, logged_name
from portfolio.comparison import STAND_IN_RESOLUTION_MICRO
from portfolio.entries import LOGGED, Carry, Cause
from portfolio.rows import NS_PER_MS
from portfolio.state import BookedAdjustment, Draft, MarketState, TailFact
from portfolio.tail import ChainFact

PAIRS_MAX = 1_000
"""Pairs of so many first logs and first entries that are tried: some ms of work. Of more, only all with all."""


class LateLogs(msgspec.Struct, frozen=True, kw_only=True):
    """Logs, and the inferred entries that say the same together."""

    facts: tuple[ChainFact, ...]
    guesses: tuple[BookedAdjustment, ...]


def late_logs(state: MarketState, facts: Iterable[ChainFact]) -> Iterator[LateLogs]:
    """What of these logs, in the chain's order, stands in entries without a log; each log and entry once at most."""
    by_hint = {fact.hint: fact for fact in facts}
    guesses = sorted((one for one in state.adjustments.values() if _inferred(one)), key=_order) if by_hint else []
    if not guesses:
        return
    for group in connected(tuple(by_hint)):
        found = _same([by_hint[hint] for hint in group], guesses)
        if found is not None:
            taken = {guess.entry.entry_id for guess in found.guesses}
            guesses = [guess for guess in guesses if guess.entry.entry_id not in taken]
            yield found


def put_in_place(draft: Draft, late: LateLogs, prices: Mapping[str, int]) -> list[TailFact]:
    """The logs take the place of what was inferred, which was reported then (D-12); each with its entry."""
    for token_id in sorted(set().union(*map(_tokens, late.guesses))):
        draft.evidence_of[token_id] = late.facts[0].hint.evidence
    for guess in late.guesses:
        draft.put_adjustment(replace(guess, superseded=True))
        draft.refold(guess.entry.at)
    booked = []
    for fact in late.facts:
        draft.evidence = fact.hint.evidence
        draft.evidence_of |= dict.fromkeys((token_id for token_id, _ in fact.hint.legs), fact.hint.evidence)
        name = logged_name(draft.state, fact.hint)
        book_hint(draft, fact.hint, name, prices)
        booked.append(TailFact(fact=fact, booked_as=name[0]))
    return booked


def explain(draft: Draft, prices: Mapping[str, int]) -> None:
    """After a comparison: what waits here may tell what this one, or earlier ones, with another witness too, inferred.

    One log may explain what several of them have found, each a part of it.
    """
    waiting = [held.fact for held in draft.state.tail if not held.booked_as]
    for late in late_logs(draft.state, waiting):
        with draft.folding_once():
            put_in_place(draft, late, prices)


def unjudged(held: TailFact) -> bool:
    """Whether it was left to a cycle that has not compared since: its block had been dropped, or not been read."""
    return held.fact.kept and not held.booked_as


def judge(draft: Draft, block_number: int, equal: Collection[str]) -> None:
    """A cycle has compared at that block: what moved only tokens that are as the chain has them is in the books."""
    tail = draft.state.tail

    def judged(held: TailFact) -> bool:
        here = unjudged(held) and held.fact.block_number <= block_number
        return here and all(token_id in equal for token_id, _ in held.fact.hint.legs)

    left = tuple(held for held in tail if not judged(held))
    if len(left) < len(tail):
        draft.put(tail=left)


def _inferred(booked: BookedAdjustment) -> bool:
    entry = booked.entry
    made = booked.superseded or bool(booked.operator) or entry.entry_id.startswith(LOGGED)
    return not made and not (isinstance(entry, Carry) and entry.cause is Cause.OPENING)


def _order(booked: BookedAdjustment) -> tuple[int, str]:
    return booked.entry.at.at_ns, booked.entry.entry_id


def _same(facts: Sequence[ChainFact], guesses: Sequence[BookedAdjustment]) -> LateLogs | None:
    """The most of the first logs that say what the first entries of their tokens say behind them."""
    tokens = {token_id for fact in facts for token_id, _ in fact.hint.legs}
    since_ns = min(fact.hint.at_ms for fact in facts) * NS_PER_MS
    of_them = [one for one in guesses if _tokens(one) & tokens and one.entry.at.at_ns > since_ns]
    logs, entries = len(facts), len(of_them)
    whole = logs * entries > PAIRS_MAX
    for some in [logs] if whole else range(logs, 0, -1):
        told = _told(facts[:some])
        for few in [entries] if whole else range(entries, 0, -1):
            if _equal(told, of_them[:few]):
                return LateLogs(facts=tuple(facts[:some]), guesses=tuple(of_them[:few]))
    return None


def _tokens(booked: BookedAdjustment) -> set[str]:
    return {effect.token_id for effect in booked.effects}


def _told(facts: Iterable[ChainFact]) -> Mapping[str, int]:
    told: Counter[str] = Counter()
    for fact in facts:
        for token_id, shares in fact.hint.legs:
            told[token_id] += shares
    return told


def _guessed(booked: Iterable[BookedAdjustment]) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for one in booked:
        for effect in one.effects:
            found[effect.token_id] += effect.shares_micro
    return found


def _equal(told: Mapping[str, int], guesses: Sequence[BookedAdjustment]) -> bool:
    """The Data API rounds each of its figures; the chain does not."""
    near = STAND_IN_RESOLUTION_MICRO * sum(guess.rounded for guess in guesses)
    guessed = _guessed(guesses)
    tokens: Collection[str] = told.keys() | guessed.keys()
    return all(abs(told.get(token_id, 0) - guessed.get(token_id, 0)) <= near for token_id in tokens)
