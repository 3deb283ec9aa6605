"""Causes of a cycle's differences: what the chain's logs show, and for the rest what the cash allows (L-14, X-01)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from portfolio.adjusting import usable_hints
from portfolio.causes import Change, Wallet, infer
from portfolio.chain import ChainChange, ChangeKind
from portfolio.comparison import overdue
from portfolio.facts import Payout
from portfolio.labelling import IncompleteTransactionError, label
from portfolio.labelling_book import TokenBook, TokenPlace
from portfolio.labelling_hints import hints_of, log_name
from portfolio.provisional import PROVISIONAL
from portfolio.readings import Logs, Readings
from portfolio.unplaced import NOTHING_WAITS, UNPLACED_BLOCKS, Unplaced, unplaced
from portfolio.views import CauseHint, ChainView, MarketImage, SettledFill, UnprovenFill
from portfolio.wallet import WalletState

FLOWS = frozenset({ChangeKind.DEPOSIT, ChangeKind.WITHDRAWAL, ChangeKind.REWARD})
"""Kinds that move collateral alone."""


def waiting(images: Iterable[MarketImage], readings: Readings, *, opened: bool) -> Unplaced:
    """What of the logs cannot be told yet, for want of metadata; after some blocks it is not waited for any more."""
    logs, balances = readings.logs, readings.balances
    if logs is None or balances is None or not opened:
        return NOTHING_WAITS
    known = {token.token_id for image in images for token in image.tokens}
    young = balances.block_number - UNPLACED_BLOCKS
    return unplaced((one for one in logs.transactions if one.block_number > young), logs.address, known)


def held_back(chains: dict[str, ChainView], waits: Unplaced) -> dict[str, ChainView]:
    """The chain's views, with the tokens of which something waits."""
    if not waits.tokens:
        return chains
    return {
        market_id: msgspec.structs.replace(
            view, waiting=tuple(token_id for token_id, _ in view.balances if token_id in waits.tokens)
        )
        for market_id, view in chains.items()
    }


def labelled(
    images: Iterable[MarketImage], logs: Logs | None, waits: Unplaced = NOTHING_WAITS
) -> tuple[tuple[ChainChange, ...] | None, str]:
    """What the logs show that happened to the wallet, in the chain's order, and why not where they do not.

    Fills that are booked by their logs are left out: after a long absence they are nearly all. None without logs. The
    reader gives whole what it cannot explain; should it not, nothing is believed of any of it.
    """
    if logs is None:
        return None, ""
    book, known = _book(images, logs.book), logs.labelled
    placed = (one for one in logs.transactions if one.transaction_hash not in waits.transactions)
    told = (known.get(one.transaction_hash) or label(one, logs.address, book) for one in placed)
    try:
        changes = [change for found in told for change in found]
    except IncompleteTransactionError as error:
        return None, f"chain.logs: {error}; causes are inferred"
    booked = booked_logs(images)
    return tuple(change for change in changes if not _is_booked_fill(change, booked)), ""


def booked_logs(images: Iterable[MarketImage]) -> frozenset[str]:
    """The logs that were booked since the wallet was compared: they explain nothing that is still open."""
    return frozenset(change.logged_as for image in images for change in image.chained if change.booked)


def fills_by_token(seen: Iterable[ChainChange], booked: Collection[str]) -> dict[str, list[ChainChange]]:
    """The logged fills of each token that are not ``booked``, so that a cycle stays linear in markets (S-25)."""
    found: dict[str, list[ChainChange]] = {}
    for change in seen:
        if change.kind is ChangeKind.FILL and change.legs and log_name(change, change.legs) not in booked:
            found.setdefault(change.legs[0][0], []).append(change)
    return found


def _is_booked_fill(change: ChainChange, booked: Collection[str]) -> bool:
    return change.kind is ChangeKind.FILL and log_name(change, change.legs) in booked


def with_settled(
    chain: ChainView, image: MarketImage, logged: Mapping[str, Sequence[ChainChange]], settle_window_ms: int
) -> ChainView:
    """The chain's view with the fills that the logs show, and the tokens of which they leave nothing open (X-02).

    A fill is shown by its order and its transaction, or by its order and size where its transaction is not known yet.
    A token is not exact where a log of an own order fits no trade that was seen (an order's figure may be ahead of its
    trades, D-03), nor where a fill that must have settled is in no log.
    """
    window = (chain.block_time_ms, settle_window_ms)
    live = {order.order_id for order in image.orders}
    settled: list[SettledFill] = []
    exact: list[str] = []
    for token in image.tokens:
        open_fills = [*token.unproven, *token.expired]
        orders = live.union(fill.order_id for fill in open_fills)
        mine = [log for log in logged.get(token.token_id, ()) if log.order_id in orders]
        found = [(fill, log) for log in mine if (fill := _filled(open_fills, log)) is not None]
        settled.extend(_settled(fill, log) for fill, log in found)
        shown = [fill for fill, _ in found]
        missing = any(overdue(fill, *window) and fill not in shown for fill in token.unproven)
        if len(shown) == len(mine) and not missing:
            exact.append(token.token_id)
    return msgspec.structs.replace(chain, settled=tuple(settled), exact=tuple(exact))


def _settled(fill: UnprovenFill, log: ChainChange) -> SettledFill:
    paid = -log.cash_micro if log.legs[0][1] > 0 else log.cash_micro
    fee = -log.fee_micro if log.legs[0][1] > 0 else log.fee_micro
    return SettledFill(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        amount_micro=paid + fee,
        fee_micro=log.fee_micro,
        transaction_hash=log.transaction_hash,
        evidence=log.evidence,
    )


def _filled(fills: list[UnprovenFill], log: ChainChange) -> UnprovenFill | None:
    """The fill that a log is of, taken out of ``fills``."""
    named = [fill for fill in fills if fill.order_id == log.order_id and fill.trade_id != PROVISIONAL]
    by_hash = [fill for fill in named if fill.transaction_hash == log.transaction_hash]
    found = by_hash or [fill for fill in named if fill.transaction_hash is None]
    fitting = [fill for fill in found if fill.shares_micro == log.legs[0][1]]
    if fitting:
        fills.remove(fitting[0])
    return fitting[0] if fitting else None


def flows(seen: Iterable[ChainChange], logs: Logs | None) -> tuple[ChainChange, ...]:
    """Deposits, withdrawals and rewards since cash was compared: no entry of a market explains them (X-10)."""
    if logs is None:
        return ()
    new = (change for change in seen if change.transaction_hash not in logs.carried)
    return tuple(change for change in new if change.kind in FLOWS and change.block_number > logs.cash_until_block)


def hints(
    images: Sequence[MarketImage],
    readings: Readings,
    seen: Sequence[ChainChange],
    changes: Sequence[Change],
    cash: tuple[int | None, WalletState],
) -> tuple[CauseHint, ...]:
    """Hints for ``changes``: by what was ``seen`` in the logs, and for the rest by the cash that is unexplained.

    ``cash`` is that amount, None where it cannot be judged (X-10), and the wallet with what waits of it.
    """
    logged = logged_hints(images, readings, seen, changes)
    unexplained_micro, wallet = cash
    if unexplained_micro is None:
        return logged
    said = {token_id for hint in logged for token_id, _ in hint.legs}
    rest = [change for change in changes if change.token_id not in said]
    left_micro = unexplained_micro - sum(hint.cash_micro for hint in logged)
    return (*logged, *_inferred(images, readings, rest, left_micro, wallet))


def logged_hints(
    images: Sequence[MarketImage], readings: Readings, seen: Iterable[ChainChange], changes: Iterable[Change]
) -> tuple[CauseHint, ...]:
    """What the logs show, where it says exactly what was found of every token that it names."""
    if readings.logs is None:
        return ()
    told = hints_of(_of_others(images, seen), _book(images, readings.logs.book), _payouts(readings))
    booked = booked_logs(images)
    shown = [hint for hint in told if hint.logged_as not in booked]
    usable, _ = usable_hints(shown, {change.token_id: change.shares_micro for change in changes}, ())
    return usable


def _book(images: Iterable[MarketImage], addresses: TokenBook) -> TokenBook:
    places = {
        token.token_id: TokenPlace(
            condition_id=token.condition_id,
            outcome_index=token.outcome_index,
            question_index=token.question_index,
            neg_risk_market_id=image.market_id if image.neg_risk else "",
        )
        for image in images
        for token in image.tokens
    }
    return msgspec.structs.replace(addresses, tokens=places)


def _of_others(images: Sequence[MarketImage], seen: Iterable[ChainChange]) -> list[ChainChange]:
    """The changes that are no fills of orders that we hold; whether an unknown order is ours, the CLOB says (R-21)."""
    ours = {order.order_id for image in images for order in image.orders}
    ours |= {fill.order_id for image in images for token in image.tokens for fill in (*token.unproven, *token.expired)}
    return [change for change in seen if change.kind is not ChangeKind.FILL or change.order_id not in ours]


def _inferred(
    images: Sequence[MarketImage],
    readings: Readings,
    changes: Sequence[Change],
    unexplained: int,
    wallet: WalletState,
) -> tuple[CauseHint, ...]:
    """Causes of what changed since the last look, by the cash that moved since then; else of everything by all cash."""
    waiting = {token.token_id: token.pending_micro for image in images for token in image.tokens if token.pending_micro}
    new = [change for change in changes if waiting.get(change.token_id) != change.shares_micro]
    latest = infer(new, _inference(images, readings, unexplained - wallet.cash_pending_micro))
    return latest or infer(changes, _inference(images, readings, unexplained))


def _inference(images: Iterable[MarketImage], readings: Readings, cash_micro: int) -> Wallet:
    balances = readings.balances
    return Wallet(
        cash_micro=cash_micro,
        block_number=balances.block_number if balances is not None else 0,
        payouts=_payouts(readings),
        marks={row.token_id: row.price_micro for row in readings.positions or () if row.price_micro is not None},
        yes_tokens={
            image.market_id: tuple(
                (token.question_index, token.token_id)
                for token in image.tokens
                if token.outcome_index == 0 and token.question_index is not None
            )
            for image in images
            if image.neg_risk
        },
    )


def _payouts(readings: Readings) -> Mapping[str, Payout]:
    balances = readings.balances
    return {payout.condition_id: payout for payout in (balances.payouts if balances is not None else ())}
