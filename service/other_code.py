"""``replay --code``: what another version of this code makes of the same journal (L-20, D-20).

That version runs its own ``replay`` in a process of its own, on the journal as a file; compared is what both show of
the state, in the form of ``diff``: before is this version, after the other. Columns that one of them lacks are not
compared, nor how a thing is worded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from messages.ledger import JournalEntry
from portfolio.outcomes import OrderRow, PositionRow
from service.config import Config
from service.diff import changed_fields, changed_row
from service.errors import ServiceError
from service.one_wallet import the_wallet
from service.rebuilt import WORDED, Kind, state_digest
from service.replaying import Record, Watch, export, journal_entries, nobody, replayed, state_at, titles
from storage.stored import TABLES

PROGRAM = Path("bin", "portfolio-sync")
_OURS = ("PORTFOLIO_SYNC", "PYTHON")
"""Beginnings of variables that would tell the other version of this one, its configuration and its secrets."""

_ASK_SCHEMA = "import json, messages.codec as codec; print(json.dumps([codec.SCHEMA, codec.__file__]))"
_COUNTED = ("fills", "adjustments")


class _Newer:
    """Hands entries on and remembers the first one of a newer format than ``schema``."""

    def __init__(self, schema: int) -> None:
        self.entry: JournalEntry | None = None
        self._schema = schema

    def of(self, entries: Iterable[JournalEntry]) -> Iterator[JournalEntry]:
        """The same entries."""
        for entry in entries:
            if self.entry is None and entry.schema > self._schema:
                self.entry = entry
            yield entry


class _OtherCode:
    """A tree of another version, and a folder in which its process may write."""

    def __init__(self, tree: Path, folder: Path, config: Config) -> None:
        self.tree = tree
        self._folder = folder
        self._config = folder / "portfolio-sync.toml"
        self._config.write_text(_config_text(config), encoding="utf-8")

    def schema(self) -> int:
        """The newest format of journals that it reads.

        Raises:
            ServiceError: the tree does not run, or what runs is not of the tree.
        """
        code, said, complaint = self._run("-c", _ASK_SCHEMA)
        if code:
            raise ServiceError(f"{self.tree} is no tree of portfolio-sync that runs here: {complaint}")
        schema, file = json.loads(said)
        if not Path(file).resolve().is_relative_to(self.tree):
            raise ServiceError(f"{self.tree} is no tree of portfolio-sync: it has no messages/codec.py")
        return int(schema)

    def replay(self, journal: Path, until: int | None) -> Record:
        """What its ``replay --json`` shows of the journal.

        Raises:
            ServiceError: it failed, with the last line that it said; or it shows no state.
        """
        wanted = [] if until is None else ["--until", str(until)]
        command = (str(self.tree / PROGRAM), "replay", "--config", str(self._config), "--journal", str(journal))
        code, said, complaint = self._run(*command, "--json", *wanted)
        if code:
            raise ServiceError(f"the version in {self.tree} cannot replay this journal (exit code {code}): {complaint}")
        try:
            document: Any = msgspec.json.decode(said)
        except msgspec.DecodeError as error:
            raise ServiceError(f"the version in {self.tree} told its state in no JSON: {error}") from error
        if not isinstance(document, dict) or not document.get("state"):
            raise ServiceError(f"the version in {self.tree} is too old to be compared: its replay shows no state")
        return document

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        """Run this interpreter on that tree; returns exit code, stdout, and the last line of stderr."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        own = {"PYTHONPATH": str(self.tree), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(self._folder)}
        done = subprocess.run(  # noqa: S603 - the tree that the operator names, to be run
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**kept, **own},
            cwd=self._folder,
            check=False,
        )
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return done.returncode, done.stdout, lines[-1] if lines else "it said nothing"


def _config_text(config: Config) -> str:
    """The least that a replay needs: whose journal it is. JSON's texts are TOML's as well."""
    wallet = the_wallet(config)
    state_dir, name, address = (
        json.dumps(str(text)) for text in (config.service.state_dir, wallet.name, wallet.address)
    )
    return f"[service]\nstate_dir = {state_dir}\n\n[[wallets]]\nname = {name}\naddress = {address}\n"


def other_code(
    config: Config, tree: Path, until: int | None = None, journal_file: Path | None = None, watch: Watch = nobody
) -> dict[str, Any]:
    """What is not the same in the state that this version and the one in ``tree`` make of the journal.

    Raises:
        ServiceError: ``tree`` holds no version, or that version cannot read or replay this journal.
    """
    tree = tree.resolve()
    if not (tree / PROGRAM).is_file():
        raise ServiceError(f"{tree} is no tree of portfolio-sync: it has no {PROGRAM}")
    with tempfile.TemporaryDirectory(prefix="portfolio-sync-replay-") as name:
        folder = Path(name).resolve()
        other = _OtherCode(tree, folder, config)
        schema = other.schema()
        file = folder / "journal.jsonl"
        if journal_file is None:
            export(config, file)
        else:
            file = journal_file.resolve()
        newer = _Newer(schema)
        with journal_entries(config, file) as (wallet, entries):
            rebuilt = replayed(wallet, newer.of(entries), until, watch)
        _require_readable(tree, schema, newer.entry)
        theirs = other.replay(file, until)
    states = {str(address): made for address, made in rebuilt.books.digests().items()}
    ours = {"digest": state_digest(rebuilt.stored()), "states": states, "state": state_at(rebuilt)}
    found = _differences(ours, theirs, titles(rebuilt))
    return {"wallet": wallet, "code": str(tree), "entries": rebuilt.books.entries, **found}


def _require_readable(tree: Path, schema: int, newer: JournalEntry | None) -> None:
    if newer is not None:
        raise ServiceError(
            f"the version in {tree} reads journals up to schema {schema}, and entry {newer.seq} ({newer.kind}) of this "
            f"one has schema {newer.schema}; `--until {newer.seq - 1}` compares what is before it"
        )


def _differences(ours: Record, theirs: Record, named: Mapping[str, str]) -> Record:
    """By market, of the wallet, and the actors of which anything differs, be it shown or not."""
    was, now = ours["state"], theirs["state"]
    markets = list(_markets(was, now, named))
    cash = _common_fields(was["cash"], now["cash"])
    gate = _gate(was["gate"], now["gate"])
    counts = _common_fields(*({name: state[name] for name in _COUNTED} for state in (was, now)))
    return {
        "to": {"seq": was["seq"], "at_ms": was["at_ms"]},
        "same": not (markets or cash or gate or counts),
        "digests": [ours["digest"], theirs["digest"]],
        "markets": markets,
        "cash": cash,
        "gate": gate,
        "counts": counts,
        "states": _parted(ours["states"], theirs["states"]),
    }


def _parted(was: Record, now: Record) -> Record:
    """Key → [here, there] of what differs, of what only one side has too."""
    pairs = {name: [was.get(name), now.get(name)] for name in {**was, **now}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _common(was: Record, now: Record) -> tuple[Record, Record]:
    names = [name for name in was if name in now and name not in WORDED]
    return {name: was[name] for name in names}, {name: now[name] for name in names}


def _common_fields(was: Record, now: Record) -> Record:
    return changed_fields(*_common(was, now))


def _gate(was: Record, now: Record) -> Record:
    """The kill switch, and who is paused; why is a wording."""
    found = _common_fields(*({"kill_switch": gate["kill_switch"]} for gate in (was, now)))
    reasons = [{name: pause["reason"] for name, pause in gate["paused"].items()} for gate in (was, now)]
    return found if reasons[0].keys() == reasons[1].keys() else {**found, "paused": reasons}


def _markets(was: Record, now: Record, named: Mapping[str, str]) -> Iterator[Record]:
    """Every market in which anything differs, in the form of ``diff``; fills and adjustments are only counted."""
    positions = list(_rows(PositionRow, was["positions"], now["positions"]))
    orders = list(_rows(OrderRow, was["orders"], now["orders"]))
    earned = _parted(*({row["market_id"]: row for row in state["pnl"]["markets"]} for state in (was, now)))
    halted = _parted(was["halted"], now["halted"])
    for market_id in dict.fromkeys([row["market_id"] for row in (*positions, *orders)] + [*earned, *halted]):
        stopped = halted.get(market_id, ["", ""])
        found = {
            "positions": [row for row in positions if row["market_id"] == market_id],
            "orders": [row for row in orders if row["market_id"] == market_id],
            "pnl": _earned(*earned.get(market_id, ({}, {}))),
            **({"halted": [text or "" for text in stopped]} if bool(stopped[0]) != bool(stopped[1]) else {}),
        }
        if any(found.values()):
            title = named.get(market_id, "")
            yield {"market_id": market_id, "title": title, **found, "fills": [], "adjustments": []}


def _earned(was: Record | None, now: Record | None) -> Record:
    """Cost, P&L and fees of a market; the side that does not list it has none."""
    amounts = {name: 0 for name in (was or now or {}) if name.endswith("_micro")}
    return _common_fields({**amounts, **(was or {})}, {**amounts, **(now or {})})


def _rows(kind: Kind, were: Iterable[Record], are: Iterable[Record]) -> Iterator[Record]:
    names = TABLES[kind].key
    left, right = ({tuple(row[name] for name in names): row for row in rows} for rows in (were, are))
    for key in dict.fromkeys((*left, *right)):
        was, now = left.get(key), right.get(key)
        if was is not None and now is not None:
            was, now = _common(was, now)
        found = changed_row(dict(zip(names, key, strict=True)), was, now)
        if found is not None:
            yield {**found, "entries": []}
