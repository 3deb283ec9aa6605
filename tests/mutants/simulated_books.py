"""Faults planted in the books: what is booked, at what cost, and what is taken back."""

from __future__ import annotations

from tests.mutants.planted import Planted

BOOKS = (
    Planted(
        name="skip the duplicate check of fills",
        breaks="a trade counts once for every status it is shown in",
        requirements=("L-01", "L-19"),
        file="portfolio/booking.py",
        old="    known = draft.state.fills.get(fill_key(leg.trade_id, leg.order_id))\n",
        new="    known: BookedFill | None = None\n",
    ),
    Planted(
        name="fold in arrival order",
        breaks="average cost depends on which feed was first",
        requirements=("L-01", "L-09"),
        file="portfolio/position.py",
        old="    return tuple(sorted(chosen.values(), key=lambda entry: (entry.at, entry.entry_id)))",
        new="    return tuple(chosen.values())",
        within=6,
    ),
    Planted(
        name="count failed trades",
        breaks="shares that were never delivered are held",
        requirements=("L-01", "L-03"),
        file="portfolio/position.py",
        old="    return not isinstance(entry, Fill) or entry.state.effective",
        new='    return not isinstance(entry, Fill) or entry.state.effective or entry.state.value == "FAILED"',
        faults="failed_trades",
    ),
    Planted(
        name="let no trade fail that was only matched",
        breaks="shares that will never come are held until their time to live is over",
        requirements=("L-03",),
        file="portfolio/booking.py",
        old="    told = retold(fill, leg, logged=known.logged)\n    if",
        new="    if leg.status is TradeStatus.FAILED and known.status is TradeStatus.MATCHED:\n        return known\n"
        "    told = retold(fill, leg, logged=known.logged)\n    if",
        faults="failed_trades",
        only="failed_trades",
        steps=200,
    ),
    Planted(
        name="round cost up when selling",
        breaks="cost and P&L drift from the rules by a unit a sale",
        requirements=("L-09", "L-10"),
        file="portfolio/position.py",
        old="    return floor_share(held.cost_basis_micro, shares, held.shares_micro)",
        new="    return -floor_share(-held.cost_basis_micro, shares, held.shares_micro)",
    ),
    Planted(
        name="round an amount once too often",
        breaks="a fill costs whole cents",
        requirements=("L-04", "L-09"),
        file="portfolio/trades.py",
        old="        amount_micro=mul_price(leg.size_micro, leg.price_micro),\n        levels=(),",
        new="        amount_micro=mul_price(leg.size_micro, leg.price_micro) // 10_000 * 10_000,\n        levels=(),",
    ),
    Planted(
        name="book a trade beside the provisional quantity that it explains",
        breaks="what an order's figure showed first counts twice",
        requirements=("L-01", "L-05"),
        file="portfolio/provisional.py",
        old="    order = replace(order, booked_micro=order.booked_micro + more_micro)\n",
        new="",
    ),
    Planted(
        name="leave the fee of an external fill in its price",
        breaks="another client's trade costs more than it did",
        requirements=("L-15",),
        file="portfolio/labelling_hints.py",
        old="        fee_micro=change.fee_micro,\n",
        new="",
    ),
    Planted(
        name="take the Data API's average for the cost",
        breaks="an external figure overwrites the own ledger",
        requirements=("L-09", "L-13"),
        file="portfolio/reconciling.py",
        old="        draft.put(cost_hints={**draft.state.cost_hints, row.token_id: hint})\n",
        new="        draft.put(cost_hints={**draft.state.cost_hints, row.token_id: hint})\n"
        "        held = msgspec.structs.replace(\n"
        "            draft.state.position(row.token_id), cost_basis_micro=row.entry_cost_micro\n"
        "        )\n"
        "        draft.put(positions={**draft.state.positions, row.token_id: held})\n",
    ),
    Planted(
        name="give the whole cost of a split to YES",
        breaks="a sale of one half realises the other's cost",
        requirements=("L-09", "L-15"),
        file="portfolio/position.py",
        old="    costs = allocate(shares, (1, 1))\n    return (_bought(yes",
        new="    costs = (shares, 0)\n    return (_bought(yes",
    ),
    Planted(
        name="leave in the books what a dropped block held",
        breaks="a transfer that the chain took back is still held",
        requirements=("X-01",),
        file="portfolio/chained.py",
        old="    gone = {block.block_hash for block in event.blocks}\n"
        "    _undo(draft, [held for held in draft.state.tail if held.fact.block_hash in gone])\n",
        new="    del draft, event\n",
        faults="reorganisations",
        only="reorganisations",
        within=6,
    ),
    Planted(
        name="keep the first transaction hash for good",
        breaks="a fill names a transaction that failed",
        requirements=("X-01", "L-03"),
        file="portfolio/booking.py",
        old='    if (_hash_told(leg), leg.transaction_hash or "") > (known.hash_told, fill.transaction_hash or ""):\n',
        new="    if not fill.transaction_hash:\n",
        faults="retried_trades",
        only="retried_trades",
    ),
    Planted(
        name="take a repeated order message for one more match",
        breaks="an order shows more matched than it was",
        requirements=("L-05", "L-19"),
        file="portfolio/orders.py",
        old="    if order == known:\n        told, found",
        new="    if order == known and shown.size_matched_micro:\n"
        "        follow(draft, replace(order, size_matched_micro=order.size_matched_micro + 1))\n"
        "        return\n"
        "    if order == known:\n        told, found",
        faults="doubled_frames",
    ),
    Planted(
        name="let an order's matched figure fall",
        breaks="a message that comes late takes fills back",
        requirements=("L-05",),
        file="portfolio/provisional.py",
        old="    matched = max(known.size_matched_micro, shown.size_matched_micro)\n",
        new="    matched = shown.size_matched_micro\n",
        faults="reordered_frames",
        only="reordered_frames",
    ),
    Planted(
        name="close an order because a list lacks it",
        breaks="a live order is gone, and its fills are strangers'",
        requirements=("L-06", "L-08"),
        file="portfolio/orders.py",
        old="        if known.closed_at_ms is None and order_id in fates:\n"
        "            changes.extend(_left(draft, view, (known, at_ns), fates[order_id].order))",
        new="        if known.closed_at_ms is None:\n"
        "            changes.extend(_left(draft, view, (known, at_ns), None))",
        also=(
            (
                "actors/stages.py",
                "        for order_id in missing:\n            self._ask(running",
                "        for order_id in ():\n            self._ask(running",
            ),
        ),
        faults="empty_pages",
    ),
)
