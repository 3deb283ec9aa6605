"""What must hold once all is quiet: the books are the world's own, and every change has a name.

The sandbox keeps books of its own, made from the terms of what happened and without any of our arithmetic (D-07).
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from messages.addresses import market_of
from polymarket.sandbox.books import fills_of
from polymarket.sandbox.trading import CONFIRMED, FAILED
from polymarket.sandbox.world import World, in_flight
from portfolio.entries import LOGGED, Carry, Cause, FillState
from portfolio.outcomes import CycleStatus
from service.replay import Books
from service.simulation.costs import costs
from service.simulation.findings import Finding
from service.simulation.process import WALLET, Seen, SimulatedProcess
from storage.journal import Journal
from storage.queries import Queries, Record

_PAUSED = "paused:"
_COMPARED = frozenset({CycleStatus.OK, CycleStatus.RPC_UNAVAILABLE, CycleStatus.DATA_API_UNAVAILABLE})
_NS_PER_MS = 1_000_000
_CAUSES = {
    "TRADE": {Cause.EXTERNAL_BUY, Cause.EXTERNAL_SALE},
    "SPLIT": {Cause.POSITION_SPLIT},
    "MERGE": {Cause.POSITION_MERGED},
    "REDEEM": {Cause.REDEEMED},
    "CONVERSION": {Cause.CONVERTED},
    "TRANSFER_IN": {Cause.TRANSFER_IN},
    "TRANSFER_OUT": {Cause.TRANSFER_OUT},
}
_UNLABELLED = {Cause.TRANSFER_IN, Cause.TRANSFER_OUT, Cause.POSITION_MERGED}
"""What operations of Protocol V2 may look like, for the events of its modules are not known: transfers, and a
redemption of as many shares of both outcomes like a merge."""

_RESTATING = {Cause.RESTATED, Cause.REINSTATED, Cause.REORGANISED}
_STAND_IN = "the Data API's position"
_UNTRACKED = {Cause.UNTRACKED_INCREASE, Cause.UNTRACKED_REDUCTION}


def differences(process: SimulatedProcess, world: World, seen: Seen, moved: AbstractSet[str]) -> Iterator[Finding]:
    """Everything in which the stored state is not the world, most telling first. ``seen`` has a cycle at least.

    ``moved`` are the tokens that ever moved on the chain, in blocks too that a reorganisation dropped.
    """
    queries = Queries(process.database)
    opened_ms = next(
        (cycle.synced_at_ms for cycle in seen.cycles if cycle.status in _COMPARED), seen.cycles[-1].synced_at_ms
    )
    yield from _positions(queries, world)
    yield from _fills(queries, world, opened_ms)
    yield from _orders(queries, world)
    yield from _cash(world, seen)
    yield from _costs(queries, world, opened_ms)
    yield from _causes(queries, world)
    yield from _phantoms(queries, world, moved)
    yield from _gate(process)


def _positions(queries: Queries, world: World) -> Iterator[Finding]:
    stored = {row["token_id"]: row for row in queries.positions(include_zero=True)}
    for market in world.directory.markets:
        for token in market.tokens:
            row = stored.get(token, {"shares_micro": 0, "settled_micro": 0})
            settled = world.balance(market, token)
            for name, expected in (("shares", settled + in_flight(world, token)), ("settled", settled)):
                if row[f"{name}_micro"] != expected:
                    yield _differs(f"{name} of a token", token, expected, row[f"{name}_micro"], market.condition_id)


def _fills(queries: Queries, world: World, opened_ms: int) -> Iterator[Finding]:
    """Every leg of the strategy in a listed trade is a fill, and counts unless the trade failed.

    Trades from before the first cycle are history, which may be one opening entry (R-23).
    """
    stored = {(row["trade_id"], row["order_id"]): row for row in queries.fills()}
    wallet = world.wallet
    for trade in world.exchange.trades_of(wallet.address):
        for fill in fills_of(trade, wallet.address):
            if fill.owner != wallet.strategy.owner or not trade.listed:
                continue
            row = stored.get((trade.trade_id, fill.order_id))
            if trade.matched_ns < opened_ms * _NS_PER_MS:
                continue
            if row is None:
                yield _differs("fill of a trade", trade.trade_id, trade.status, "nothing", fill.order_id)
                continue
            counts = FillState(row["state"]).effective
            if counts == (trade.status == FAILED):
                yield _differs("state of a fill", trade.trade_id, trade.status, row["state"], fill.order_id)
            if trade.status == CONFIRMED and row["transaction_hash"] != trade.transaction_hash.lower():
                yield _differs("transaction of a fill", trade.trade_id, trade.transaction_hash, row["transaction_hash"])


def _orders(queries: Queries, world: World) -> Iterator[Finding]:
    stored = {row["order_id"]: row for row in queries.orders()}
    live = {order.order_id: order for order in world.exchange.live_orders(world.wallet.address)}
    for order_id in sorted(stored.keys() - live.keys()):
        yield _differs("live order", order_id, "none", stored[order_id]["status"])
    for order_id, order in live.items():
        row = stored.get(order_id)
        if row is None:
            yield _differs("live order", order_id, order.status, "none", order.condition_id)
        elif row["size_matched_micro"] != order.matched:
            yield _differs("matched size of an order", order_id, order.matched, row["size_matched_micro"])


def _cash(world: World, seen: Seen) -> Iterator[Finding]:
    report = seen.cycles[-1]
    total = sum(world.cash().values())
    if report.onchain_balance_micro != total:
        yield _differs("cash", WALLET, total, report.onchain_balance_micro)
    if report.cash_unexplained_micro:
        yield _differs("unexplained cash", WALLET, 0, report.cash_unexplained_micro)


def _costs(queries: Queries, world: World, opened_ms: int) -> Iterator[Finding]:
    """Cost, realised P&L and fees where they are determined: by the rules, and by no estimate of ours."""
    # What a merge brings is parted by the cost of both outcomes, so one that is estimated makes the other's P&L so too.
    guessed = [world.directory.by_token[row["token_id"]] for row in queries.adjustments() if row["estimated"]]
    estimated = {token for market in guessed for token in market.tokens}
    stored = {row["token_id"]: row for row in queries.positions(include_zero=True)}
    for token, held in costs(world, opened_ms).items():
        row = stored.get(token)
        if token in estimated or row is None:
            continue
        for name, column, expected in (
            ("cost", "cost_basis_micro", held.cost),
            ("realised P&L", "realized_pnl_micro", held.realized),
            ("fees", "fees_micro", held.fees),
        ):
            if row[column] != expected:
                yield _differs(f"{name} of a token", token, expected, row[column])


def _causes(queries: Queries, world: World) -> Iterator[Finding]:
    """Every change has a cause and its evidence; one that names its transaction has that one's cause (L-14)."""
    kinds = {one.transaction_hash: one.kind for one in world.books.operations}
    for row in queries.adjustments():
        if not row["cause"] or not row["evidence"]:
            yield _differs("cause of an adjustment", row["entry_id"], "a cause with its evidence", _cause(row))
        _, _, logged = row["entry_id"].partition(LOGGED)
        kind = kinds.get(logged.partition(":")[0])
        unlabelled = _UNLABELLED if world.directory.by_token[row["token_id"]].version == "v2" else set()
        if kind is not None and row["cause"] not in _CAUSES[kind] | _RESTATING | unlabelled:
            yield _differs("cause of an adjustment", row["entry_id"], kind, _cause(row))


def _phantoms(queries: Queries, world: World, moved: AbstractSet[str]) -> Iterator[Finding]:
    """What was inferred of a token happened to it in some way: a witness that fails or lags changes nothing (S-11)."""
    traded = {fill.token for trade in world.exchange.trades.values() for fill in fills_of(trade, world.wallet.address)}
    for row in queries.adjustments():
        inferred = not row["entry_id"].startswith(LOGGED) and row["cause"] not in _RESTATING | {Cause.OPENING}
        if inferred and row["token_id"] not in traded and row["token_id"] not in moved:
            yield _differs("adjustment of a token that nothing happened to", row["token_id"], "none", _cause(row))


def unnamed(process: SimulatedProcess, world: World) -> Iterator[Finding]:
    """What holds too where the logs could always be read: no cause was inferred, no operation is missing.

    What came and went before the books knew of its market is no part of them.
    """
    queries = Queries(process.database)
    named = {row["entry_id"].partition(LOGGED)[2].partition(":")[0] for row in queries.adjustments()}
    for row in queries.adjustments():
        if Cause(row["cause"]) in _UNTRACKED:
            yield _differs("cause of an adjustment", row["entry_id"], "that of its transaction", _cause(row))
    known_ms = _known_ms(process)
    for operation in world.books.operations:
        known = [token for token, shares in operation.tokens.items() if shares and token in known_ms]
        if operation.kind == "TRADE" or not any(known_ms[token] < operation.at_ms for token in known):
            continue
        if operation.transaction_hash not in named:
            yield _differs("entry of an operation", operation.transaction_hash, operation.kind, "none")


def inferred(books: Books) -> Iterator[Finding]:
    """Once the logs can be read again, no guess stands: what they show has taken its place (L-14, D-12).

    But where the Data API stood in for the chain: its figures are rounded and may be a mixture of what happened.
    """
    for state in books.markets.values():
        entries = [booked.entry for booked in state.adjustments.values() if not booked.superseded]
        guesses = [entry for entry in entries if isinstance(entry, Carry) and entry.cause in _UNTRACKED]
        if any(booked.entry.evidence.startswith(_STAND_IN) for booked in state.adjustments.values()):
            continue
        for entry in guesses:
            found = f"{entry.cause.value!r} {entry.evidence!r}"
            yield _differs("cause that stands", entry.entry_id, "that of a transaction", found, entry.token_id)


def _known_ms(process: SimulatedProcess) -> dict[str, int]:
    """Since when the books know of each token."""
    defined: dict[str, int] = {}
    for entry in Journal(process.database).read(WALLET):
        if entry.kind == "market_defined":
            defined.setdefault(market_of(entry.address), entry.at_ms)
    return {row["token_id"]: defined[row["market_id"]] for row in Queries(process.database).tokens()}


def _gate(process: SimulatedProcess) -> Iterator[Finding]:
    for gate in process.gates():
        others = [reason for reason in gate.reasons if not reason.startswith(_PAUSED)]
        if others:
            yield _differs("the trade gate", gate.strategy_id, "open, or paused", "; ".join(others))


def _cause(row: Record) -> str:
    return f"{row['cause']!r} {row['evidence']!r}"


def _differs(rule: str, subject: str, expected: object, found: object, detail: str = "") -> Finding:
    return Finding(rule=rule, subject=subject, expected=str(expected), found=str(found), detail=detail)
