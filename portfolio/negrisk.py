"""Payoff of a neg-risk event: one number per scenario, and what follows from them (R-06).

A neg-risk event has questions of which at most one resolves YES. Holdings are therefore never summed question by
question; they are turned into a payoff vector. Amounts are integers of 1e-6 pUSD at payoff 1 per share.

Here: the vector, its extremes, releasable cash, event drift, and the independent total that stands beside it. Not
here: prices, thresholds, or which flag counts (``facts.MarketMeta``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec


class OutcomeHolding(msgspec.Struct, frozen=True, kw_only=True):
    """Shares held of one question's YES and NO."""

    question_index: int
    yes_micro: int = 0
    no_micro: int = 0


class Payoff(msgspec.Struct, frozen=True, array_like=True):
    """What all holdings pay if ``winner`` (a question index; None = no question wins) comes true."""

    winner: int | None
    amount_micro: int


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """Payoffs of the scenarios still open: winners by question index, "none wins" last; never empty."""

    payoffs: tuple[Payoff, ...]

    @property
    def size_micro(self) -> int:
        """The event's size: the largest payoff, "none wins" included."""
        return max(payoff.amount_micro for payoff in self.payoffs)

    @property
    def worst_case_micro(self) -> int:
        """The smallest payoff, "none wins" included."""
        return min(payoff.amount_micro for payoff in self.payoffs)

    @property
    def guaranteed_if_one_wins_micro(self) -> int:
        """The smallest payoff given that one question wins; the worst case where no question can win any more."""
        winning = [payoff.amount_micro for payoff in self.payoffs if payoff.winner is not None]
        return min(winning, default=self.worst_case_micro)

    def max_loss_micro(self, cost_micro: int) -> int:
        """Cost less worst case; negative where even the worst case pays more than was spent."""
        return cost_micro - self.worst_case_micro


def question_count(chain_count: int | None, question_indexes: Iterable[int]) -> int:
    """How many questions the event has: the chain's count, else one past the highest index known.

    ``question_indexes`` are those of all markets of the neg-risk id, unnamed placeholders included. An index at or
    past the chain's count raises the result: a holding is never left out (no silent undercount).
    """
    return max([chain_count or 0, *(index + 1 for index in question_indexes)])


def vector(
    holdings: Sequence[OutcomeHolding],
    count: int,
    decided: Mapping[int, bool] | None = None,
) -> Vector:
    """Payoffs per open scenario: ``P_k = T + yes_k - no_k`` if k wins, ``P_none = T``, with ``T`` the sum of all NO.

    ``count`` is the number of questions (``question_count``); questions without holdings are scenarios too. ``decided``
    maps a resolved question's index to whether it won: one decided against is dropped as a scenario while its NO stay
    in ``T`` until redeemed; once one has won, only that scenario remains.
    """
    results = decided or {}
    yes, no = _by_question(holdings)
    total_no = sum(no.values())
    winners = [index for index, won in sorted(results.items()) if won]
    indexes = range(question_count(count, [*yes, *results]))
    open_indexes = winners or [index for index in indexes if index not in results]
    payoffs = [Payoff(index, total_no + yes.get(index, 0) - no.get(index, 0)) for index in open_indexes]
    if not winners:
        payoffs.append(Payoff(None, total_no))
    return Vector(payoffs=tuple(payoffs))


def releasable_micro(holdings: Sequence[OutcomeHolding]) -> int:
    """Collateral that can be had now: YES with NO by merging, then all NO that remain but the highest by conversion."""
    yes, no = _by_question(holdings)
    merged = {index: min(yes[index], no[index]) for index in yes}
    rest = [no[index] - merged[index] for index in yes]
    return sum(merged.values()) + sum(rest) - max(rest, default=0)


def independent_micro(holdings: Sequence[OutcomeHolding]) -> int:
    """The size if every question were a binary market of its own: the sum of each one's larger side.

    Wrong for a neg-risk event; it stands in the report beside the aggregate when the flags disagree (R-06).
    """
    yes, no = _by_question(holdings)
    return sum(max(yes[index], no[index]) for index in yes)


def event_drift_micro(internal: Vector, external: Vector) -> int:
    """The largest absolute difference between two vectors of the same event, "none wins" included.

    Raises:
        ValueError: the vectors have different scenarios; both must be made with one count and one set of results.

    """
    ours, theirs = ([payoff.winner for payoff in side.payoffs] for side in (internal, external))
    if ours != theirs:
        raise ValueError(f"event drift compares equal scenarios; internal were {ours}, external were {theirs}")
    pairs = zip(internal.payoffs, external.payoffs, strict=True)
    return max(abs(mine.amount_micro - other.amount_micro) for mine, other in pairs)


def _by_question(holdings: Sequence[OutcomeHolding]) -> tuple[dict[int, int], dict[int, int]]:
    """YES and NO by question index, both with the same keys; several rows of one question add up."""
    yes: dict[int, int] = {}
    no: dict[int, int] = {}
    for holding in holdings:
        yes[holding.question_index] = yes.get(holding.question_index, 0) + holding.yes_micro
        no[holding.question_index] = no.get(holding.question_index, 0) + holding.no_micro
    return yes, no
