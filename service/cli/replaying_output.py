"""Tables of ``replay``, ``verify`` and ``diff``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any

from service.cli.failures import say
from service.cli.output import cell, moment, print_pairs, print_rows, put, shorten
from service.cli.reading import ORDERS, POSITIONS

PROFITS = "title market_id cost_basis_micro realized_pnl_micro fees_micro"
HELD = ("shares_micro", "settled_micro", "in_flight_micro", "cost_basis_micro", "realized_pnl_micro", "fees_micro")
_PUSD = frozenset(
    {"cost_basis_micro", "realized_pnl_micro", "fees_micro", "cash_micro", "capital_micro", "unexplained_pending_micro"}
)
_ABOUT = ("digest", "stored_digest", "equal", "entries", "chain_broken_at", "state_digest")
_COMPARED = frozenset({"stored_digest", "equal"})


def show_replay(result: dict[str, Any], *, wide: bool) -> None:
    """The digests; then, where nothing was compared, the state."""
    compared = result["stored_digest"] is not None
    print_pairs((name, result[name]) for name in _ABOUT if compared or name not in _COMPARED)
    if "state" in result:
        put("")
        _show_state(result["state"], wide=wide)


def _show_state(state: dict[str, Any], *, wide: bool) -> None:
    when = "before any entry" if state["at_ms"] is None else f"{moment(state['at_ms'])}, after entry {state['seq']}"
    say(f"the state at {when}")
    cash, gate = state["cash"], state["gate"]
    total = state["pnl"]["total"]
    pairs = [(f"{name.removesuffix('_micro')}, pUSD", cell(name, value, wide=True)) for name, value in total.items()]
    known = cash["cash_micro"] is not None
    shown = cell("cash_micro", cash["cash_micro"], wide=True) if known else "unknown: no balance was read yet"
    pairs.append(("cash by the books, pUSD", shown))
    pairs.append(("kill switch", "on" if gate["kill_switch"] else "off"))
    pairs += [(f"paused {name}", pause["reason"]) for name, pause in gate["paused"].items()]
    pairs += [(f"halted {market_id}", reason) for market_id, reason in state["halted"].items()]
    print_pairs(pairs)
    put("")
    print_rows(state["positions"], POSITIONS.split(), empty="no positions then", wide=wide)
    put("")
    print_rows(state["orders"], ORDERS.split(), empty="no live orders then", wide=wide)
    put("")
    print_rows(state["pnl"]["markets"], PROFITS.split(), empty="nothing was earned or paid until then", wide=wide)


def show_verification(result: dict[str, Any]) -> None:
    """A line for the chain, one for the state, and one for each invariant."""
    chain, state = result["chain"], result["state"]
    compared = state["not_compared_because"] == ""
    rows = [
        _proof(
            "journal", "each entry follows from the one before, up to the head", result["entries"], chain["damages"]
        ),
        _proof(
            "state",
            "the tables are what the journal gives",
            state["entries"] if compared else None,
            range(state["difference_count"]),
        ),
        *(_invariant(one) for one in result["invariants"]),
    ]
    print_rows(rows, ("proof", "says", "looked_at", "found"), empty="", wide=True)
    put("")
    print_pairs((("entries", result["entries"]), ("head hash", result["head_hash"]), ("state digest", state["digest"])))


def _proof(name: str, says: str, looked_at: int | None, found: Sized) -> dict[str, Any]:
    if looked_at is None:
        return {"proof": name, "says": says, "looked_at": "-", "found": "not compared"}
    return {
        "proof": name,
        "says": says,
        "looked_at": f"{looked_at:,}",
        "found": f"{len(found)} wrong" if found else "holds",
    }


def _invariant(one: dict[str, Any]) -> dict[str, Any]:
    if one["checked_by"] == "cycle":
        return {"proof": one["id"], "says": one["definition"], "looked_at": "-", "found": "by each cycle"}
    return _proof(one["id"], one["definition"], one["checked"], range(one["breach_count"]))


def show_changes(result: dict[str, Any], *, wide: bool) -> None:
    """A table of what changed, market by market; then of cash and gate."""
    start, end = result["from"], result["to"]
    since = "before any entry" if start["at_ms"] is None else f"entry {start['seq']} of {moment(start['at_ms'])}"
    until = "before any entry" if end["at_ms"] is None else f"entry {end['seq']} of {moment(end['at_ms'])}"
    say(f"from {since} to {until}: {result['entries']} entries, {result['cycles']} cycles closed")
    rows = [row for market in result["markets"] for row in _market_changes(market, wide=wide)]
    rows += [_change("wallet", "cash", field, pair) for field, pair in result["cash"].items()]
    gate = {name: pair for name, pair in result["gate"].items() if name != "rows"}
    rows += [_change("wallet", "gate", field, [_gate_text(value) for value in pair]) for field, pair in gate.items()]
    print_rows(rows, ("market", "what", "field", "before", "after", "entries"), empty="nothing changed", wide=True)


def _gate_text(value: Any) -> Any:
    """Pauses with their reasons, strategies with the number of their markets."""
    if not isinstance(value, dict):
        return value
    told = (f"{name}: {len(of)} markets" if isinstance(of, list) else f"{name}: {of}" for name, of in value.items())
    return "; ".join(told) or "-"


def _market_changes(market: dict[str, Any], *, wide: bool) -> Iterator[dict[str, Any]]:
    name = market["title"] or (market["market_id"] if wide else shorten(market["market_id"]))
    for row in market["positions"]:
        pairs = {field: (0, row["row"][field]) for field in HELD if row["row"][field]} if row["new"] else row["changed"]
        what = f"position {row['row']['outcome'] or row['row']['token_id']}"
        yield from (_change(name, what, field, pair, row["entries"]) for field, pair in pairs.items())
    for table, say_new in NEW_ROWS:
        for row in market[table]:
            what = f"{table.removesuffix('s')} {_named(row['key'], wide=wide)}"
            if row["new"]:
                yield _change(name, what, "", ("", say_new(row["row"])), row["entries"])
            yield from (_change(name, what, field, pair, row["entries"]) for field, pair in row["changed"].items())
    if "halted" in market:
        yield _change(name, "market", "halted", market["halted"])


def _named(key: dict[str, str], *, wide: bool) -> str:
    return " of ".join(text if wide else shorten(text) for text in key.values())


def _change(market: str, what: str, field: str, pair: Sequence[Any], entries: Sequence[int] = ()) -> dict[str, Any]:
    before, after = (cell(field, value, wide=False) for value in pair)
    named = field.removesuffix("_micro") + (", pUSD" if field in _PUSD else "")
    seqs = ", ".join(map(str, entries))
    return {"market": market, "what": what, "field": named, "before": before, "after": after, "entries": seqs}


def _amount(row: dict[str, Any], field: str) -> str:
    return cell(field, row[field], wide=True)


def _new_order(row: dict[str, Any]) -> str:
    terms = f"{row['side']} {_amount(row, 'original_size_micro')} at {_amount(row, 'price_micro')}"
    return f"{terms}, {row['status']}, matched {_amount(row, 'size_matched_micro')}"


def _new_fill(row: dict[str, Any]) -> str:
    terms = f"{row['side']} {_amount(row, 'size_micro')} at {_amount(row, 'price_micro')}"
    return f"{terms}, fee {_amount(row, 'fee_micro')}, {row['state']}"


def _new_adjustment(row: dict[str, Any]) -> str:
    booked = f"{row['cause']} {_amount(row, 'size_micro')} shares, cost {_amount(row, 'cost_micro')}"
    return f"{booked}, realised {_amount(row, 'realized_pnl_micro')}"


NEW_ROWS: Sequence[tuple[str, Callable[[dict[str, Any]], str]]] = (
    ("orders", _new_order),
    ("fills", _new_fill),
    ("adjustments", _new_adjustment),
)
