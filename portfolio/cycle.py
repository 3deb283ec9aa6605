"""One cycle, decided: which markets need a view, what the wallet's cash says, and what the report counts (S-02, S-08).

Pure functions from images and readings to views, and from results to the closing event. Which readings are needed and
who is waited for is the coordinator's; whether a difference is applied is each market's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from portfolio.causes import Change, changes_of
from portfolio.chain import ChainChange
from portfolio.comparison import TokenExam, at_block, examine_market, orders_agree, stand_in_difference
from portfolio.facts import Balances, DataPosition, OpenOrder, Payout
from portfolio.hinting import (
    booked_logs,
    fills_by_token,
    flows,
    held_back,
    hints,
    labelled,
    logged_hints,
    waiting,
    with_settled,
)
from portfolio.negrisk import OutcomeHolding, independent_micro, question_count, releasable_micro, vector
from portfolio.outcomes import NegRiskAggregate
from portfolio.readings import Readings
from portfolio.reconciling import cost_hint
from portfolio.units import MICRO, div_half_even
from portfolio.views import (
    CauseHint,
    ChainView,
    ExternalView,
    MarketImage,
    OrderFate,
    OrdersView,
    TokenImage,
    TokenPrice,
    ViewPolicy,
)
from portfolio.wallet import WalletState


class PriceSource(enum.StrEnum):
    """Where a reference price is from. OWN_COST and PAR are no marks: they say nothing of the market (R-03)."""

    PAYOUT = "payout"
    DATA_API = "data_api"
    METADATA = "metadata"
    OWN_COST = "own_cost"
    PAR = "par"


class ReferencePrice(msgspec.Struct, frozen=True, kw_only=True):
    """What a share is taken to be worth in a cycle, 1e-6 pUSD."""

    price_micro: int
    source: PriceSource


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The cycle itself: its name, time and settings. ``own_keys`` are the configured API keys (R-21)."""

    cycle_id: str
    synced_at_ms: int
    policy: ViewPolicy
    own_keys: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Views for the markets that differ, and the wallet's cash.

    ``cash_micro`` and ``cash_unexplained_micro`` are None without the chain; ``inflows`` are what its logs show of
    collateral that came or went by itself, which is not unexplained; ``doubt`` says what logs were not believed or
    wait. ``settled_clean``: no market has an unexplained difference, so that unexplained cash is cash alone.
    """

    views: dict[str, ExternalView]
    compared: int
    cash_micro: int | None
    cash_unexplained_micro: int | None
    capital_micro: int | None
    settled_clean: bool
    inflows: tuple[ChainChange, ...] = ()
    doubt: str = ""
    decided: dict[str, dict[int, bool]] = {}


def plan(images: Sequence[MarketImage], readings: Readings, frame: Frame, wallet: WalletState) -> Plan:
    """Compare every image with the readings; only markets that differ get a view (D-10)."""
    prices = reference_prices(images, readings)
    waits = waiting(images, readings, opened=wallet.opened)
    seen, doubt = labelled(images, readings.logs, waits) if wallet.opened else (None, "")
    bare, exams = _examined(images, readings, seen, frame.policy)
    chains = held_back(bare, waits)
    proven_cash = _proven_cash(at_block(images, readings.balances), exams, opened=wallet.opened)
    cash, capital, unexplained = _cash(readings.balances, wallet, proven_cash)
    if not _whole(images, wallet) or waits.transactions:
        # What the missing market moved would pass for unexplained cash, and be taken for somebody's sale.
        unexplained = None
    changes = _changes(exams)
    inflows = flows(seen or (), readings.logs)
    if unexplained is not None:
        unexplained -= sum(flow.cash_micro for flow in inflows)
    opened = readings.balances is not None and wallet.opened
    told = hints(images, readings, seen or (), changes, (unexplained, wallet)) if opened else ()
    views = {}
    mine = _by_market(told, changes)
    rows = _Rows.of(readings)
    for image in images:
        view = msgspec.structs.replace(_view(image, rows, frame, wallet), prices=_prices_of(image, prices))
        view = _with_chain(view, chains.get(image.market_id), mine.get(image.market_id, ()))
        if _differs(image, view, exams.get(image.market_id, ())):
            views[image.market_id] = view
    return Plan(
        views=views,
        compared=len(images),
        cash_micro=cash,
        cash_unexplained_micro=unexplained,
        capital_micro=capital,
        inflows=inflows,
        doubt=doubt or waits.sentence,
        decided=_decided(images, readings.balances),
        settled_clean=not (changes or any(image.provisional for image in images))
        and all(not exam.explained for found in exams.values() for exam in found),
    )


_Exams: TypeAlias = dict[str, tuple[TokenExam, ...]]


def _examined(
    images: Sequence[MarketImage], readings: Readings, seen: Sequence[ChainChange] | None, policy: ViewPolicy
) -> tuple[dict[str, ChainView], _Exams]:
    """The chain's views and what they say of each token.

    Logs are believed of a token only where they make up its balance to the unit: a node may keep some back.
    """
    chains = _chain_views(images, readings, seen, policy)
    exams = _exams(images, chains, policy)
    changes = _changes(exams)
    if seen is None or not changes:
        return chains, exams
    named = {token_id for hint in logged_hints(images, readings, seen, changes) for token_id, _ in hint.legs}
    doubtful = {change.token_id for change in changes} - named
    if not doubtful:
        return chains, exams
    chains = {
        market_id: msgspec.structs.replace(view, exact=tuple(one for one in view.exact if one not in doubtful))
        for market_id, view in chains.items()
    }
    return chains, _exams(images, chains, policy)


def _exams(images: Sequence[MarketImage], chains: Mapping[str, ChainView], policy: ViewPolicy) -> _Exams:
    return {
        image.market_id: examine_market(image, chains[image.market_id], policy.settle_window_ms)
        for image in images
        if image.market_id in chains
    }


def _changes(exams: Mapping[str, Sequence[TokenExam]]) -> list[Change]:
    return [change for market_id, found in exams.items() for change in changes_of(market_id, found)]


def _proven_cash(images: Iterable[MarketImage], exams: Mapping[str, Sequence[TokenExam]], *, opened: bool) -> int:
    """Collateral that proven entries moved, with what this cycle's balances prove.

    An opening sets the history of its token aside, and with it the cash that this history moved (R-23).
    """
    shown = (exam for found in exams.values() for exam in found if opened or exam.difference_micro == 0)
    return sum(image.proven_cash_micro for image in images) + sum(exam.explained_cash_micro for exam in shown)


def _whole(images: Iterable[MarketImage], wallet: WalletState) -> bool:
    """Whether every market of the wallet is there; a quarantined one is not."""
    return {entry.market_id for entry in wallet.directory.values()} <= {image.market_id for image in images}


def _cash(
    balances: Balances | None, wallet: WalletState, proven_cash: int
) -> tuple[int | None, int | None, int | None]:
    """(cash, capital, unexplained): on the first reading all that entries do not explain is capital (X-10)."""
    if balances is None:
        return None, None, None
    capital = wallet.capital_micro
    if capital is None:
        capital = balances.cash_micro - proven_cash
    return balances.cash_micro, capital, balances.cash_micro - capital - proven_cash


def _chain_views(
    images: Sequence[MarketImage], readings: Readings, seen: Sequence[ChainChange] | None, policy: ViewPolicy
) -> dict[str, ChainView]:
    """The balances by market, and where there are logs what has settled in them."""
    if readings.balances is None:
        return {}
    amounts = {balance.token_id: balance.amount_micro for balance in readings.balances.tokens}
    payouts = {payout.condition_id: payout for payout in readings.balances.payouts}
    logged = fills_by_token(seen or (), booked_logs(images))
    views = {}
    for image in images:
        conditions = sorted({token.condition_id for token in image.tokens})
        held = ((token.token_id, amounts.get(token.token_id)) for token in image.tokens)
        view = ChainView(
            block_number=readings.balances.block_number,
            block_time_ms=readings.balances.block_time_ms,
            balances=tuple((token_id, amount) for token_id, amount in held if amount is not None),
            payouts=tuple(payouts[condition] for condition in conditions if condition in payouts),
        )
        if seen is not None:
            view = with_settled(view, image, logged, policy.settle_window_ms)
        views[image.market_id] = view
    return views


class _Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The readings by token, condition and order, so that a cycle stays linear in markets (S-25)."""

    readings: Readings
    positions: dict[str, list[DataPosition]]
    orders: dict[str, list[OpenOrder]]
    fates: dict[str, OrderFate]

    @staticmethod
    def of(readings: Readings) -> _Rows:
        """Index the readings."""
        positions: dict[str, list[DataPosition]] = {}
        for row in readings.positions or ():
            positions.setdefault(row.token_id, []).append(row)
        orders: dict[str, list[OpenOrder]] = {}
        for order in readings.orders:
            orders.setdefault(order.condition_id, []).append(order)
        fates = {fate.order_id: fate for fate in readings.fates}
        return _Rows(readings=readings, positions=positions, orders=orders, fates=fates)


def _view(image: MarketImage, found: _Rows, frame: Frame, wallet: WalletState) -> ExternalView:
    readings = found.readings
    conditions = sorted({token.condition_id for token in image.tokens})
    rows = tuple(row for token in image.tokens for row in found.positions.get(token.token_id, ()))
    return ExternalView(
        cycle_id=frame.cycle_id,
        base_version=image.version,
        synced_at_ms=frame.synced_at_ms,
        policy=frame.policy,
        opening=not wallet.opened,
        stand_in=rows if readings.balances is None and readings.positions is not None else None,
        entry_costs=rows if readings.balances is not None else (),
        orders=OrdersView(
            read_at_ms=readings.orders_read_at_ms,
            previous_read_at_ms=wallet.orders_read_at_ms,
            orders=tuple(order for condition in conditions for order in found.orders.get(condition, ())),
            fates=tuple(found.fates[order.order_id] for order in image.orders if order.order_id in found.fates),
        ),
        own_keys=frame.own_keys,
    )


def _with_chain(view: ExternalView, chain: ChainView | None, hints: Sequence[CauseHint]) -> ExternalView:
    """Add the chain's part, with the hints of this market."""
    return view if chain is None else msgspec.structs.replace(view, chain=chain, hints=tuple(hints))


def _by_market(hints: Iterable[CauseHint], changes: Iterable[Change]) -> dict[str, list[CauseHint]]:
    """The hints of each market that a leg of theirs changes, found once for all markets (S-25)."""
    markets = {change.token_id: change.market_id for change in changes}
    found: dict[str, list[CauseHint]] = {}
    for hint in hints:
        for market_id in {markets[token_id] for token_id, _ in hint.legs if token_id in markets}:
            found.setdefault(market_id, []).append(hint)
    return found


def _differs(image: MarketImage, view: ExternalView, exams: Sequence[TokenExam]) -> bool:
    """Whether the market has anything to decide: a difference, a proof, a note, a pending look, an order."""
    tokens = {token.token_id: token for token in image.tokens}
    shown = view.orders.orders if view.orders is not None else ()
    decided = {payout.condition_id for payout in (view.chain.payouts if view.chain is not None else ())}
    return (
        image.noted
        or image.short
        or any(not change.booked for change in image.chained)
        or any(token.pending for token in image.tokens)
        or any(exam.difference_micro != 0 or exam.explained for exam in exams)
        or not orders_agree(image.orders, shown)
        or any(order.condition_id in decided and not order.noted_resolved for order in image.orders)
        or any(stand_in_difference(tokens[row.token_id], row.size_micro) for row in view.stand_in or ())
        or any(_cost_differs(tokens[row.token_id], row) for row in view.entry_costs)
    )


def _cost_differs(token: TokenImage, row: DataPosition) -> bool:
    return cost_hint(_average(token), row.size_micro, row.entry_cost_micro) is not None


def _average(token: TokenImage) -> int | None:
    if token.shares_micro <= 0:
        return None
    return div_half_even(token.cost_basis_micro * MICRO, token.shares_micro)


def reference_prices(images: Iterable[MarketImage], readings: Readings) -> dict[str, ReferencePrice]:
    """One price per token for both sides (R-03): payout, else the Data API's, the metadata's, own average, 1."""
    payouts = {payout.condition_id: payout for payout in (readings.balances.payouts if readings.balances else ())}
    marks = {row.token_id: row.price_micro for row in readings.positions or () if row.price_micro is not None}
    prices = {}
    for image in images:
        for token in image.tokens:
            prices[token.token_id] = _price(token, payouts.get(token.condition_id), marks)
    return prices


def _price(token: TokenImage, payout: Payout | None, marks: Mapping[str, int]) -> ReferencePrice:
    if payout is not None:
        paid = payout.numerators[token.outcome_index] * MICRO // payout.denominator
        return ReferencePrice(price_micro=paid, source=PriceSource.PAYOUT)
    known = (
        (marks.get(token.token_id), PriceSource.DATA_API),
        (token.price_micro, PriceSource.METADATA),
        (_average(token), PriceSource.OWN_COST),
    )
    for price, source in known:
        if price is not None:
            return ReferencePrice(price_micro=price, source=source)
    return ReferencePrice(price_micro=MICRO, source=PriceSource.PAR)


def _prices_of(image: MarketImage, prices: Mapping[str, ReferencePrice]) -> tuple[TokenPrice, ...]:
    return tuple(
        TokenPrice(token_id=token.token_id, price_micro=prices[token.token_id].price_micro) for token in image.tokens
    )


def missing_orders(images: Iterable[MarketImage], shown: Iterable[OpenOrder]) -> tuple[str, ...]:
    """Live orders of ours that a list lacks: each needs its fate looked up before anything closes (L-06, L-08)."""
    listed = {order.order_id for order in shown}
    held = sorted(order.order_id for image in images for order in image.orders)
    return tuple(order_id for order_id in held if order_id not in listed)


def _decided(images: Iterable[MarketImage], balances: Balances | None) -> dict[str, dict[int, bool]]:
    """Results of resolved questions by neg-risk market: a decided scenario is dropped (R-06)."""
    payouts = {payout.condition_id: payout for payout in (balances.payouts if balances is not None else ())}
    found: dict[str, dict[int, bool]] = {}
    for image in images:
        for token in image.tokens:
            payout = payouts.get(token.condition_id)
            if image.neg_risk and payout is not None and token.question_index is not None:
                found.setdefault(image.market_id, {})[token.question_index] = payout.numerators[0] > 0
    return found


def aggregates(
    images: Iterable[MarketImage],
    event_drifts: Mapping[str, int],
    decided: Mapping[str, Mapping[int, bool]],
) -> tuple[NegRiskAggregate, ...]:
    """Each neg-risk event with holdings, both totals side by side (R-06)."""
    found = []
    for image in sorted(images, key=lambda image: image.market_id):
        holdings = _holdings(image)
        if not image.neg_risk or not any(holding.yes_micro or holding.no_micro for holding in holdings):
            continue
        count = question_count(image.question_count, [holding.question_index for holding in holdings])
        payoffs = vector(holdings, count, decided.get(image.market_id))
        found.append(
            NegRiskAggregate(
                market_id=image.market_id,
                size_micro=payoffs.size_micro,
                independent_size_micro=independent_micro(holdings),
                guaranteed_if_one_wins_micro=payoffs.guaranteed_if_one_wins_micro,
                worst_case_micro=payoffs.worst_case_micro,
                releasable_micro=releasable_micro(holdings),
                event_drift_micro=event_drifts.get(image.market_id, 0),
                flag_mismatch=image.flag_mismatch,
            )
        )
    return tuple(found)


def _holdings(image: MarketImage) -> tuple[OutcomeHolding, ...]:
    sides: dict[int, dict[int, int]] = {}
    for token in image.tokens:
        sides.setdefault(token.question_index or 0, {})[token.outcome_index] = token.shares_micro
    return tuple(
        OutcomeHolding(question_index=index, yes_micro=held.get(0, 0), no_micro=held.get(1, 0))
        for index, held in sorted(sides.items())
    )


def holds_anything(image: MarketImage) -> bool:
    """Whether the market counts as a position of the report: shares or live orders."""
    return bool(image.orders) or any(token.shares_micro != 0 for token in image.tokens)
