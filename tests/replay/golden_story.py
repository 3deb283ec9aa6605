"""The story that a golden journal holds: every kind of event that is journaled, in one deterministic run.

``python -m tests.replay.golden_story`` writes it to ``golden/`` as the current format version, with what it gives, and
with the fields of all events; ``… golden_story fields`` writes these alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from messages.addresses import Address, market_address
from messages.codec import SCHEMA
from messages.control import (
    Command,
    MarkExternal,
    PauseStrategy,
    RecordTrade,
    ResumeMarket,
    ResumeStrategy,
    SetKillSwitch,
)
from portfolio.events import FillSeen, GateConfigured, WalletDefined
from portfolio.facts import OrderStatus, Side, TradeStatus
from portfolio.state import digest
from service.rebuilt import WORDED, Key
from service.replaying import replayed
from storage.dialect import SqlRow
from storage.journal import Journal, import_lines
from storage.stored import TABLES, StateTable
from tests.replay.shapes import Shapes, broken, read, shapes_of, written
from tests.support.moves import Deal, becomes, convert, fill_order, fill_part, move, trade
from tests.support.onchain import BOOK, again, filled, merged, redeemed, reorganise, sold, split, transferred
from tests.support.system import FOLLOW_MS, INTERVAL_MS, WALLET, Harness
from tests.support.venue import FUNDER

GOLDEN = Path(__file__).parent / "golden"
SHARE = 1_000_000
TTL_MS = 16 * 60_000
STRATEGIES = (("maker", ("0xa",)), ("taker", ("0xb", "0xe")))
QUESTIONS = ("0xq0", "0xq1", "0xq2")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A table as a version had it: its columns but for wordings, and its rows by their keys."""

    columns: tuple[str, ...]
    rows: list[list[Any]]


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal gave when it was written; ``digest`` is of the tables. No later version may change any of it."""

    entries: int
    head_hash: str
    digest: str
    tables: dict[str, Shown]


def opening(harness: Harness) -> None:
    """Two markets and an event of three questions, with positions and orders; one strategy for each."""
    for name in ("0xa", "0xb"):
        harness.venue.add_market(name)
        move(harness.venue, f"{name}-yes", 1_000 * SHARE)
        harness.venue.add_order(f"order-{name}", f"{name}-no", size=100 * SHARE, price=300_000)
    for index, name in enumerate(QUESTIONS):
        harness.venue.add_market(name, neg_risk_id="0xe", index=index)
        move(harness.venue, f"{name}-no", 50 * SHARE)
    harness.start()
    harness.post.tell(
        Address(f"coordinator:{WALLET}"), WalletDefined(address=FUNDER, signer_address=FUNDER, signature_type=2)
    )
    harness.runtime.run_for(FOLLOW_MS)


def trading(harness: Harness) -> None:
    """An order is filled in two parts and one whole, a sale follows, and a trade fails."""
    fill_part(harness.venue, "order-0xb", "trade-1", 30 * SHARE)
    harness.cycle()
    harness.stream.subscribe()
    harness.stream.show(harness.venue.add_order("order-shown", "0xb-yes", size=8 * SHARE, price=100_000))
    fill_order(harness.venue, "order-0xa", "trade-2")
    trade(harness.venue, "trade-3", Deal(token_id="0xa-no", size=40 * SHARE, price=450_000, side=Side.SELL))
    trade(
        harness.venue,
        "trade-4",
        Deal(token_id="0xa-yes", size=3 * SHARE, price=500_000, status=TradeStatus.MATCHED, settled=False),
    )
    harness.cycles(2)
    becomes(harness.venue, "trade-4", TradeStatus.FAILED)
    harness.cycles(2)


def on_chain(harness: Harness) -> None:
    """Merge, split, transfer, an external sale and a redemption, each with its logs; one block is dropped."""
    merged(harness.venue, "0xmerge", 50 * SHARE)
    harness.runtime.run_for(FOLLOW_MS)
    split(harness.venue, "0xsplit", 20 * SHARE, "0xb")
    harness.runtime.run_for(FOLLOW_MS)
    transferred(harness.venue, "0xgift", "0xb-yes", 10 * SHARE)
    harness.runtime.run_for(FOLLOW_MS)
    lost = reorganise(harness.venue, harness.venue.head)
    harness.runtime.run_for(FOLLOW_MS)
    for one in lost:
        again(harness.venue, one)
    sold(harness.venue, "0xsale", "0xa-yes", 25 * SHARE, 600_000)
    filled(
        harness.venue,
        trade(harness.venue, "trade-5", Deal(token_id="0xb-no", size=5 * SHARE, price=200_000, settled=False)),
    )
    harness.runtime.run_for(FOLLOW_MS)
    harness.cycles(2)
    redeemed(harness.venue, "0xpaid", "0xb-yes", harness.venue.balances["0xb-yes"])
    harness.runtime.run_for(FOLLOW_MS)
    harness.cycles(2)


def without_logs(harness: Harness) -> None:
    """A conversion, and shares worth more than the line of a pause, of which the chain shows no more than balances."""
    convert(harness.venue, ("0xq0", "0xq1"), ("0xq2",), 20 * SHARE)
    move(harness.venue, "0xa-yes", 1_100 * SHARE)
    harness.cycles(3)
    move(harness.venue, "0xa-no", 15 * SHARE)
    harness.cycles(3)


def left_alone(harness: Harness) -> None:
    """A trade that never settles and an order whose figure stays ahead of its trades, until both are given up."""
    trade(
        harness.venue,
        "trade-6",
        Deal(token_id="0xa-no", size=2 * SHARE, price=400_000, status=TradeStatus.MATCHED, settled=False),
    )
    order = harness.venue.add_order("order-ahead", "0xa-yes", size=10 * SHARE, price=250_000)
    harness.cycle()
    harness.venue.orders["order-ahead"] = msgspec.structs.replace(order, size_matched_micro=4 * SHARE)
    harness.cycle()
    harness.runtime.run_for(TTL_MS)
    harness.venue.end_order("order-0xb", OrderStatus.CANCELED)
    harness.cycles(2)


def by_hand(harness: Harness) -> None:
    """Everything that an operator may order, and a message that cannot be processed."""
    market = market_address(WALLET, "0xa")
    recorded = RecordTrade(request_id="1", market_id="0xa", token_id="0xa-yes", side=Side.BUY, size_micro=7 * SHARE,
                           price_micro=350_000, operator="ada", reason="bought by telephone")  # fmt: skip
    _order(harness, recorded, market)
    inferred = next(
        row for row in harness.queries.adjustments() if row["token_id"] == "0xa-no" and row["cause"] == "TRANSFER_IN"
    )
    marked = MarkExternal(request_id="2", market_id="0xa", entry_id=inferred["entry_id"], price_micro=310_000,
                          operator="ada", reason="a trade of ours elsewhere")  # fmt: skip
    _order(harness, marked, market)
    unreadable: object = FillSeen(leg=None, feed="poll")  # type: ignore[arg-type]
    harness.post.tell(market, unreadable)
    harness.runtime.run_until_idle()
    who = {"operator": "ada", "reason": "looked at it"}
    for command in (
        SetKillSwitch(request_id="4", active=True, **who),
        SetKillSwitch(request_id="5", active=False, **who),
        PauseStrategy(request_id="6", strategy_id="taker", **who),
        ResumeStrategy(request_id="7", strategy_id="taker", **who),
    ):
        _order(harness, command)
    _order(harness, ResumeMarket(request_id="3", market_id="0xa", **who), market)
    harness.cycles(2)


def _order(harness: Harness, command: Command, address: Address | None = None) -> None:
    obeyed, answer = harness.ask(command, address)
    assert obeyed, answer


CHAPTERS: tuple[Callable[[Harness], None], ...] = (opening, trading, on_chain, without_logs, left_alone, by_hand)


def told(folder: Path) -> Harness:
    """The whole story; close it with ``stop``."""
    gate = GateConfigured(auto_pause=True, operator="", reason="", strategies=STRATEGIES)
    harness = Harness(folder, book=BOOK, gate=gate)
    for chapter in CHAPTERS:
        chapter(harness)
    harness.runtime.run_for(INTERVAL_MS)
    return harness


def journal(folder: Path) -> bytes:
    """The story's journal as JSON lines."""
    harness = told(folder)
    try:
        harness.assert_replays()
        return b"".join(Journal(harness.database).export_lines(WALLET))
    finally:
        harness.stop()


def gives(lines: bytes, columns: Mapping[str, Sequence[str]] | None = None) -> Expected:
    """What a journal gives to this version, by those columns of each table; None takes all that it has."""
    entries = list(import_lines(lines.splitlines(keepends=True)))
    stored = replayed(entries[0].stream, entries, None).stored()
    tables = {
        table.name: _shown(stored[kind].items(), table, (columns or {}).get(table.name))
        for kind, table in TABLES.items()
        if columns is None or table.name in columns
    }
    return Expected(entries=len(entries), head_hash=entries[-1].hash, digest=digest(tables), tables=tables)


def _shown(rows: Iterable[tuple[Key, SqlRow]], table: StateTable, columns: Sequence[str] | None) -> Shown:
    chosen = tuple(columns or (column for column in table.columns if column not in WORDED))
    places = [table.columns.index(column) for column in chosen]
    return Shown(columns=chosen, rows=[[row[place] for place in places] for _, row in sorted(rows)])


def _readable(made: Expected) -> str:
    """JSON with a line for each row, so that a change of one number is a change of one line."""
    plain = msgspec.to_builtins(made)
    tables = plain.pop("tables")
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in plain.items()]
    shown = []
    for name, table in tables.items():
        rows = ",\n".join(f"      {json.dumps(row)}" for row in table["rows"])
        columns = json.dumps(table["columns"])
        shown.append(f'    {json.dumps(name)}: {{"columns": {columns}, "rows": [\n{rows}\n    ]}}')
    return "\n".join(["{", *lines, '  "tables": {', ",\n".join(shown), "  }", "}", ""])


def keep_shapes(folder: Path, shapes: Shapes) -> None:
    """Write down what the events of this version hold; refused where bytes that were written so are no longer read."""
    file = folder / f"schema-{SCHEMA}.fields"
    lost = broken(read(file.read_text(encoding="utf-8")), shapes) if file.exists() else []
    if lost:
        text = "\n  ".join(
            [f"journals of schema {SCHEMA} would not be read any more: raise SCHEMA (messages/codec.py)", *lost]
        )
        raise SystemExit(text)
    file.write_text(written(shapes), encoding="utf-8")


def main(arguments: Sequence[str] = ()) -> None:
    """Write the files of the current version; of ``fields`` only what its events hold."""
    keep_shapes(GOLDEN, shapes_of())
    if arguments:
        return
    with tempfile.TemporaryDirectory() as name:
        lines = journal(Path(name))
    (GOLDEN / f"schema-{SCHEMA}.jsonl").write_bytes(lines)
    made = gives(lines)
    (GOLDEN / f"schema-{SCHEMA}.json").write_text(_readable(made), encoding="utf-8")
    sys.stdout.write(f"{made.entries} entries, {len(lines):,} bytes, digest {made.digest}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
