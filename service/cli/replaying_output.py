"""Tables of ``replay``, ``verify`` and ``diff``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any

from service.cli.failures import say
from service.cli.output import cell, moment, print_pairs, print_rows, put, shorten
from service.cli.reading import ORDERS, POSITIONS

PROFITS = "title market_id cost_basis_micro realized_pnl_micro fees_micro"
HELD = ("shares_micro", "settled_micro", "in_flight_micro", "cost_basis_micro", "realized_pnl_micro", "fees_micro")
_PUSD = frozenset(
    {"cost_basis_micro", "realized_pnl_micro", "fees_micro", "cash_micro", "capital_micro", "unexplained_pending_micro"}
)
SNAPSHOTS = "seq at_ms entries state_digest equal detail"

NUMBERS_MAX = 20
"""Numbers of entries that are named in one cell or line; JSON has all of them."""

_ABOUT = ("digest", "stored_digest", "equal", "entries", "chain_broken_at", "state_digest")
_COMPARED = frozenset({"stored_digest", "equal"})


def show_replay(result: dict[str, Any], *, wide: bool) -> None:
    """The digests; then, where nothing was compared, the state."""
    compared = result["stored_digest"] is not None
    print_pairs((name, result[name]) for name in _ABOUT if compared or name not in _COMPARED)
    if "snapshots" in result:
        put("")
        shown = [{**one, "equal": _said(one["equal"])} for one in result["snapshots"]]
        print_rows(shown, SNAPSHOTS.split(), empty="no snapshot was made yet", wide=wide)
    if "state" in result:
        put("")
        _show_state(result["state"], wide=wide)


def _said(equal: bool | None) -> str:  # noqa: FBT001 - a finding, not a mode
    return "not compared" if equal is None else str(equal).lower()


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
        *_snapshots(result["snapshots"]),
        *(_invariant(one) for one in result["invariants"]),
    ]
    print_rows(rows, ("proof", "says", "looked_at", "found"), empty="", wide=True)
    put("")
    print_pairs((("entries", result["entries"]), ("head hash", result["head_hash"]), ("state digest", state["digest"])))


def _snapshots(stored: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A line where there are any; those that were not compared are not counted."""
    compared = [one for one in stored if one["sound"] is not None]
    if stored:
        says = "each is what the journal gives at its entry"
        yield _proof("snapshots", says, len(compared) or None, [one for one in compared if not one["sound"]])


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
    say(f"from {_point(start)} to {_point(end)}: {result['entries']} entries, {result['cycles']} cycles closed")
    _print_changes(_changes(result, wide=wide), ("before", "after", "entries"), empty="nothing changed")


def show_without(result: dict[str, Any], *, wide: bool) -> None:
    """What was left out, what then breaks, and a table of what would be different."""
    for entry in result["without"]:
        say(f"without entry {_entry(entry)}")
    for one in result["breaks"]:
        say(f"entry {_entry(one['entry'])} then {one['text']}")
    idle = result["without_effect"]
    if idle:
        say(f"then without effect: {_numbers([entry['seq'] for entry in idle])}")
    rows = list(_changes(result, wide=wide))
    for row in result["cursors"]:
        what = f"cursor {row['key']['source']}"
        pairs = row["changed"] or {"value": (row["row"]["value"], "")}
        rows += [_change("wallet", what, field, pair, row["entries"]) for field, pair in pairs.items()]
    empty = f"nothing would be different after {_point(result['to'])}"
    _print_changes(rows, ("as it is", "without", "entries"), empty=empty)


def show_other_code(result: dict[str, Any], *, wide: bool) -> None:
    """Whether the other version gives the same state; a table of what it gives otherwise."""
    rows = list(_changes(result, wide=wide))
    rows += [_change("wallet", "rows", name, pair) for name, pair in result["counts"].items()]
    say(f"the version in {result['code']}, after {_point(result['to'])}, gives")
    same_rows = result["digests"][0] == result["digests"][1]
    rest = "to the last row of every table" if same_rows else "in all that `replay --until` shows; other rows differ"
    _print_changes(rows, ("this version", "that version"), empty=f"the same state, {rest}")
    if result["states"] and not same_rows:
        say(f"actors whose state has another digest there: {', '.join(result['states'])}")


def _print_changes(rows: Iterable[dict[str, Any]], heads: Sequence[str], *, empty: str) -> None:
    """The last columns under other headings: what is on either side, and by which entries."""
    columns = ("before", "after", "entries")
    named = [{**row, **{head: row[column] for head, column in zip(heads, columns, strict=False)}} for row in rows]
    print_rows(named, ("market", "what", "field", *heads), empty=empty, wide=True)


def _point(point: dict[str, Any]) -> str:
    return "before any entry" if point["at_ms"] is None else f"entry {point['seq']} of {moment(point['at_ms'])}"


def _entry(entry: dict[str, Any]) -> str:
    return f"{entry['seq']} ({entry['kind']} of {entry['address']}, {moment(entry['at_ms'])})"


def _changes(result: dict[str, Any], *, wide: bool) -> Iterator[dict[str, Any]]:
    for market in result["markets"]:
        yield from _market_changes(market, wide=wide)
    yield from (_change("wallet", "cash", field, pair) for field, pair in result["cash"].items())
    gate = {name: pair for name, pair in result["gate"].items() if name != "rows"}
    for field, pair in gate.items():
        yield _change("wallet", "gate", field, [_gate_text(value) for value in pair])


def _gate_text(value: Any) -> Any:
    """Pauses with their reasons, strategies with the number of their markets."""
    if not isinstance(value, dict):
        return value
    told = (f"{name}: {len(of)} markets" if isinstance(of, list) else f"{name}: {of}" for name, of in value.items())
    return "; ".join(told) or "-"


def _market_changes(market: dict[str, Any], *, wide: bool) -> Iterator[dict[str, Any]]:
    name = market["title"] or (market["market_id"] if wide else shorten(market["market_id"]))
    for row in market["positions"]:
        what = f"position {row['row']['outcome'] or row['row']['token_id']}"
        yield from (_change(name, what, field, pair, row["entries"]) for field, pair in _held(row).items())
    for table, say_new in NEW_ROWS:
        for row in market[table]:
            what = f"{table.removesuffix('s')} {_named(row['key'], wide=wide)}"
            if row["new"] or row["gone"]:
                pair = (say_new(row["row"]), "")
                yield _change(name, what, "", pair if row["gone"] else pair[::-1], row["entries"])
            yield from (_change(name, what, field, pair, row["entries"]) for field, pair in row["changed"].items())
    if not market["positions"]:
        yield from (_change(name, "market", field, pair) for field, pair in market["pnl"].items())
    if "halted" in market:
        yield _change(name, "market", "halted", market["halted"])


def _held(row: dict[str, Any]) -> dict[str, Sequence[Any]]:
    """What changed of a position; one that a side lacks is nothing there."""
    held = {field: row["row"][field] for field in HELD if row["row"][field]}
    if row["gone"]:
        return {field: (amount, 0) for field, amount in held.items()}
    return {field: (0, amount) for field, amount in held.items()} if row["new"] else row["changed"]


def _named(key: dict[str, str], *, wide: bool) -> str:
    return " of ".join(text if wide else shorten(text) for text in key.values())


def _change(market: str, what: str, field: str, pair: Sequence[Any], entries: Sequence[int] = ()) -> dict[str, Any]:
    before, after = (cell(field, value, wide=False) for value in pair)
    named = field.removesuffix("_micro") + (", pUSD" if field in _PUSD else "")
    row = {"market": market, "what": what, "field": named, "before": before, "after": after}
    return {**row, "entries": _numbers(entries)}


def _numbers(seqs: Sequence[int]) -> str:
    """The first numbers of entries; of many, how many more there are."""
    more = f" and {len(seqs) - NUMBERS_MAX} more" if len(seqs) > NUMBERS_MAX else ""
    return ", ".join(map(str, seqs[:NUMBERS_MAX])) + more


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
