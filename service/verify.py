"""``verify``: the journal's chain, the state that it gives, its snapshots, and every invariant (X-12, L-20, L-21)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from messages.ledger import JournalEntry
from portfolio.invariants import CATALOGUE
from service.config import Config
from service.one_wallet import the_wallet
from service.rebuilt import Rebuilt, differences, digests, keyed
from service.replay import ReplayFailed, uncollected
from service.replaying import Record, Watch, listed, nobody, told
from service.snapshots_checked import Checked, SnapshotCheck
from service.verify_books import BY_CYCLE, Audit, Finding
from storage.damage import ChainCheck, Damage, check_chain
from storage.database import Database, open_readonly
from storage.queries import Queries, Selection
from storage.queries import Record as Row
from storage.stored import StoredState, stored_state

BREACHES_MAX = 20
"""Breaches of one invariant that are listed; all are counted."""


def verify(config: Config, watch: Watch = nobody) -> dict[str, Any]:
    """Everything that can be proven from the database alone; ``ok`` where all of it holds, else ``problems``.

    Whether the books agree with the exchange and the chain is what each cycle checks.
    """
    name = the_wallet(config).name
    database = open_readonly(config.storage_url)
    try:
        stored = stored_state(database, name)
        check = _Check(name, stored.head_seq, watch, SnapshotCheck(database, name))
        with uncollected():
            chain = check_chain(database, name, check.take)
        check.close(config.sync.settle_window_ms, database)
    finally:
        database.close()
    state = _state(check, stored, chain)
    findings = check.audit.findings()
    halted = {one.market_id: one.halted for one in check.rebuilt.books.markets.values() if one.halted}
    snapshots = check.snapshots.found
    problems = [
        *_chain_problems(chain),
        *_state_problems(state),
        *_snapshot_problems(snapshots),
        *_book_problems(findings, halted),
    ]
    return {
        "wallet": name,
        "ok": not problems,
        "entries": chain.entries,
        "head_hash": chain.head_hash,
        "chain": {
            "sound": not chain.damages,
            "damages": [msgspec.to_builtins(one) for one in chain.damages],
            "complete": chain.complete,
        },
        "state": state,
        "snapshots": [msgspec.to_builtins(one) for one in snapshots],
        "invariants": [*(_shown(one) for one in findings), *_left_to_the_cycle()],
        "halted": halted,
        "problems": problems,
    }


class _Check:
    """Replays the sound part of the journal while its chain is walked: one reading for both."""

    def __init__(self, name: str, end_seq: int, watch: Watch, snapshots: SnapshotCheck) -> None:
        self.rebuilt = Rebuilt(name)
        self.snapshots = snapshots
        self.audit = Audit()
        self.failed = ""
        self._end_seq = end_seq
        self._watch = watch

    def take(self, entry: JournalEntry) -> None:
        """One entry whose chain is whole. What a running process adds meanwhile is not in the tables that were read."""
        self._watch(entry.seq)
        if self.failed or entry.seq > self._end_seq:
            return
        try:
            self.audit.hear(self.rebuilt.apply(entry))
        except ReplayFailed as error:
            self.failed = str(error)
        else:
            self.snapshots.take(entry, self.rebuilt.books)

    def close(self, settle_window_ms: int, database: Database) -> None:
        """Check the books at the end, and what is stored of P&L by itself."""
        self.snapshots.close()
        last = self.rebuilt.last
        self.audit.close(self.rebuilt.books, last.at_ms if last is not None else 0, settle_window_ms)
        name = self.rebuilt.books.wallet.wallet
        profits = Queries(database).profits(Selection(wallet=name))
        for row in profits.positions:
            sums = profits.entries.get(_key(row))
            self.audit.hold(row["token_id"], row["realized_pnl_micro"], sums.realized_pnl_micro if sums else 0)


def _key(row: Row) -> tuple[str, str]:
    return (row["wallet"], row["token_id"])


def _state(check: _Check, stored: StoredState, chain: ChainCheck) -> Record:
    """The comparison; there is none behind a damage, for what was changed there proves nothing."""
    because = check.failed
    if chain.damages:
        because = f"the journal is not sound from entry {chain.damages[0].seq} on"
    kept = keyed(stored.rows)
    made, digest = digests(check.rebuilt.stored(), kept)
    if because:
        found: Record = {"stored_digest": None, "equal": False, "difference_count": 0, "differences": []}
        return {"entries": check.rebuilt.books.entries, "digest": made, **found, "not_compared_because": because}
    return {
        "entries": check.rebuilt.books.entries,
        "digest": made,
        "stored_digest": digest,
        "equal": digest == made,
        **listed([] if digest == made else differences(check.rebuilt, kept)),
        "not_compared_because": "",
    }


def _shown(finding: Finding) -> Record:
    meaning = CATALOGUE[finding.invariant_id]
    return {
        "id": finding.invariant_id.value,
        "definition": meaning.definition,
        "source": meaning.source,
        "critical": meaning.critical,
        "checked": finding.checked,
        "breach_count": len(finding.breaches),
        "breaches": [msgspec.to_builtins(breach) for breach in finding.breaches[:BREACHES_MAX]],
        "checked_by": "verify",
    }


def _left_to_the_cycle() -> Iterator[Record]:
    """Those that need a witness, so that nobody takes their silence for a proof."""
    for name in sorted(BY_CYCLE):
        yield {**_shown(Finding(invariant_id=name, checked=0, breaches=())), "checked_by": "cycle"}


def _chain_problems(chain: ChainCheck) -> Iterator[str]:
    yield from (damage_told(one) for one in chain.damages)
    if not chain.complete:
        yield f"journal: {len(chain.damages)} damages were found by then, and no more were looked for"


def damage_told(damage: Damage) -> str:
    """One damage in words."""
    field = f" ({damage.field})" if damage.field and damage.field != damage.part.value else ""
    return f"journal entry {damage.seq}, {damage.part.value}{field}: {damage.detail}"


def _state_problems(state: Record) -> Iterator[str]:
    if state["not_compared_because"]:
        yield f"the stored state was not compared: {state['not_compared_because']}"
    yield from (told(one) for one in state["differences"])
    more = state["difference_count"] - len(state["differences"])
    if more:
        yield f"and {more} more differences between stored state and journal"


def _snapshot_problems(snapshots: Iterable[Checked]) -> Iterator[str]:
    yield from (f"snapshot of entry {one.seq}: {one.detail}" for one in snapshots if one.sound is False)


def _book_problems(findings: Iterable[Finding], halted: dict[str, str]) -> Iterator[str]:
    for finding in findings:
        for breach in finding.breaches[:BREACHES_MAX]:
            where = f"{finding.invariant_id.value} {breach.subject}"
            yield f"{where}: expected {breach.expected}, was {breach.found} ({breach.detail})"
    yield from (f"market {market_id} is halted: {reason}" for market_id, reason in halted.items())
