"""Exposure for a portfolio guard: per market, per neg-risk event and per strategy (S-23, R-06).

Computed from the stored positions and live orders, at cost and at the payoffs that are still possible; no market
prices are needed. Amounts are integers of 1e-6 pUSD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec

from portfolio.gate import DEFAULT_STRATEGY
from portfolio.negrisk import OutcomeHolding, vector
from portfolio.units import mul_price
from storage.queries import Queries, Record


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """What may be won and lost. ``max_loss`` is cost less the worst payoff; ``open_buy`` is what resting buys may add.

    ``size`` is the largest payoff, ``worst_case`` the smallest, both at 1 pUSD a share.
    """

    cost_basis_micro: int = 0
    size_micro: int = 0
    worst_case_micro: int = 0
    max_loss_micro: int = 0
    open_buy_micro: int = 0
    open_sell_shares_micro: int = 0


def exposure(queries: Queries, strategies: Sequence[tuple[str, Sequence[str]]]) -> Record:
    """``markets`` (one per condition), ``events`` (one per neg-risk id) and ``strategies``."""
    indexes = {row["token_id"]: row["outcome_index"] for row in queries.tokens()}
    questions = {(row["wallet"], row["condition_id"]): row["question_index"] for row in queries.markets()}
    positions, orders = queries.positions(), queries.orders()
    markets: list[Record] = []
    events: list[Record] = []
    owners: dict[str, list[Exposure]] = {name: [] for name, _ in strategies}
    for (wallet, market_id), held, resting in _groups(positions, orders, "market_id"):
        parts = [
            _market(wallet, market_id, part, (condition_held, condition_resting), indexes)
            for (_, part), condition_held, condition_resting in _groups(held, resting, "condition_id")
        ]
        markets += [record for record, _ in parts]
        neg_risk = any(row["neg_risk"] for row in held)
        whole = _event(held, resting, indexes, questions) if neg_risk else _sum(each for _, each in parts)
        if neg_risk:
            events.append({"wallet": wallet, "market_id": market_id, **msgspec.to_builtins(whole)})
        for strategy in _owners([market_id, *(record["condition_id"] for record, _ in parts)], strategies):
            owners.setdefault(strategy, []).append(whole)
    totals = [{"strategy_id": name, **msgspec.to_builtins(_sum(parts))} for name, parts in sorted(owners.items())]
    return {"markets": markets, "events": events, "strategies": totals}


def _groups(
    positions: Sequence[Record], orders: Sequence[Record], key: str
) -> Iterable[tuple[tuple[str, str], list[Record], list[Record]]]:
    """Positions and orders by (wallet, ``key``), in order."""

    def name(row: Record) -> tuple[str, str]:
        return (row["wallet"], row[key])

    held = {group: list(rows) for group, rows in groupby(sorted(positions, key=name), key=name)}
    resting = {group: list(rows) for group, rows in groupby(sorted(orders, key=name), key=name)}
    for group in sorted({*held, *resting}):
        yield group, held.get(group, []), resting.get(group, [])


def _market(
    wallet: str,
    market_id: str,
    condition_id: str,
    rows: tuple[list[Record], list[Record]],
    indexes: Mapping[str, int],
) -> tuple[Record, Exposure]:
    """One condition by itself: exactly one of its two outcomes pays."""
    held, resting = rows
    payoffs = {0: 0, 1: 0}
    for row in held:
        index = indexes.get(row["token_id"], 0)
        payoffs[index] = payoffs.get(index, 0) + row["shares_micro"]
    found = _made(held, resting, max(payoffs.values()), min(payoffs.values()))
    names = {"wallet": wallet, "market_id": market_id, "condition_id": condition_id}
    return {**names, **msgspec.to_builtins(found)}, found


def _event(
    held: Sequence[Record],
    resting: Sequence[Record],
    indexes: Mapping[str, int],
    questions: Mapping[tuple[str, str], int | None],
) -> Exposure:
    """A neg-risk event as one: at most one of its questions resolves YES (R-06)."""
    holdings = []
    for row in held:
        shares = row["shares_micro"]
        is_yes = indexes.get(row["token_id"], 0) == 0
        holdings.append(
            OutcomeHolding(
                question_index=questions.get((row["wallet"], row["condition_id"])) or 0,
                yes_micro=shares if is_yes else 0,
                no_micro=0 if is_yes else shares,
            )
        )
    payoffs = vector(holdings, 1)
    return _made(held, resting, payoffs.size_micro, payoffs.worst_case_micro)


def _made(held: Sequence[Record], resting: Sequence[Record], size_micro: int, worst_micro: int) -> Exposure:
    cost = sum(row["cost_basis_micro"] for row in held)
    return Exposure(
        cost_basis_micro=cost,
        size_micro=size_micro,
        worst_case_micro=worst_micro,
        max_loss_micro=cost - worst_micro,
        open_buy_micro=sum(mul_price(_rest(row), row["price_micro"]) for row in resting if row["side"] == "BUY"),
        open_sell_shares_micro=sum(_rest(row) for row in resting if row["side"] == "SELL"),
    )


def _rest(order: Record) -> int:
    return max(0, int(order["original_size_micro"]) - int(order["size_matched_micro"]))


def _sum(parts: Iterable[Exposure]) -> Exposure:
    names = Exposure.__struct_fields__
    listed = list(parts)
    return Exposure(**{name: sum(getattr(part, name) for part in listed) for name in names})


def _owners(names: Sequence[str], strategies: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    wanted = {name.lower() for name in names}
    found = [strategy for strategy, markets in strategies if wanted & {market.lower() for market in markets}]
    return found or [DEFAULT_STRATEGY]
