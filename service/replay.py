"""Rebuilding the state from the journal, and proving that it is the stored one (D-20, L-20). Needs no actor.

Every entry is applied to its own address, with its outcomes suppressed, so the result does not depend on the schedule
that wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from actors.readings import IngestState, advance
from messages.addresses import Address, coordinator_address, gate_address, kind_of, market_of
from messages.codec import decode
from messages.ledger import JournalEntry
from portfolio import gate, market, wallet
from portfolio.closing import aborted, critical_drifts
from portfolio.events import CursorAdvanced, CycleClosed, DriftFound, Event
from portfolio.gate import GateState
from portfolio.images import image_of
from portfolio.judging import ViewResult
from portfolio.outcomes import CycleStatus, OrderRow, PositionRow
from portfolio.rows import order_row, position_row
from portfolio.state import MarketState, digest
from portfolio.views import ExternalView
from portfolio.wallet import WalletState
from service.config import Config
from service.errors import ServiceError
from service.one_wallet import the_wallet
from storage.database import open_readonly
from storage.journal import Journal, import_lines
from storage.queries import Queries


class ReplayFailed(ServiceError):
    """The journal cannot be replayed; the text says at which entry and what to do."""


class Books:
    """All states of one wallet, by address."""

    def __init__(self, name: str) -> None:
        self.wallet = WalletState(wallet=name)
        self.ingest = IngestState(wallet=name)
        self.gate = GateState(wallet=name)
        self.markets: dict[str, MarketState] = {}
        self.entries = 0
        self.interrupted: tuple[str, int] | None = None
        """Name and time of a cycle that markets took views of and that was never closed: cut short (D-11 d)."""
        self._results: list[ViewResult] = []
        self._unjudged: list[DriftFound] = []
        self.reconciled_block: int | None = None
        """The block at which the books were last compared with the chain."""

    def recovery(self) -> tuple[tuple[Address, Event], ...]:
        """What a crash within a cycle left undone, and who is to be told (D-11 d).

        The gate of drift that it never judged: a market's correction was durable, so its pause must follow (S-05). The
        coordinator of the report that is missing.
        """
        name = self.wallet.wallet
        told: list[tuple[Address, Event]] = [(gate_address(name), drift) for drift in self._unjudged]
        if self.interrupted is not None:
            images = [image_of(state) for state in self.markets.values()]
            report = aborted(self.wallet, self.interrupted, images, self._results)
            told.append((coordinator_address(name), report))
        return tuple(told)

    def apply(self, entry: JournalEntry) -> None:
        """Apply one entry.

        Raises:
            ReplayFailed: an address or event that this version does not know.
        """
        event: Any = decode(entry.payload, entry.kind, entry.schema)
        self.entries += 1
        match kind_of(entry.address):
            case "market":
                state = self.markets.get(entry.address)
                if state is None:
                    state = MarketState(wallet=self.wallet.wallet, market_id=market_of(entry.address))
                step = market.transition(state, event, entry.at_ms)
                self.markets[entry.address] = step.state
                if isinstance(event, ExternalView):
                    self._viewed(event, step.result)
            case "coordinator":
                if isinstance(event, CycleClosed):
                    self._close(event)
                self.wallet = wallet.transition(self.wallet, event, entry.at_ms).state
            case "gate":
                if isinstance(event, DriftFound):
                    self._unjudged = [drift for drift in self._unjudged if drift != event]
                self.gate = gate.transition(self.gate, event, entry.at_ms).state
            case "ingest" if isinstance(event, CursorAdvanced):
                self.ingest = advance(self.ingest, event)
            case _:
                text = f"entry {entry.seq} of {entry.stream} is for {entry.address}, which this version does not know"
                raise ReplayFailed(text)

    def _close(self, event: CycleClosed) -> None:
        self.interrupted = None
        if event.report.status is not CycleStatus.ABORTED:
            # The gate judged before this cycle closed, and the writer keeps that order; an aborted one has no judge.
            self._unjudged = []
        if event.report.onchain_reconciled:
            self.reconciled_block = event.report.block_number

    def _viewed(self, view: ExternalView, result: ViewResult | None) -> None:
        if self.interrupted is None or self.interrupted[0] != view.cycle_id:
            self.interrupted = (view.cycle_id, view.synced_at_ms)
            self._results = []
        if result is not None:
            self._results.append(result)
            self._unjudged += critical_drifts(
                [result], view.synced_at_ms, view.cycle_id, onchain_reconciled=view.chain is not None
            )

    def digests(self) -> Mapping[str, str]:
        """Digest of every state, by address."""
        found = {address: digest(state) for address, state in self.markets.items()}
        name = self.wallet.wallet
        found[f"coordinator:{name}"] = digest(self.wallet)
        found[f"ingest:{name}"] = digest(self.ingest)
        found[f"gate:{name}"] = digest(self.gate)
        return dict(sorted(found.items()))


def rebuild(name: str, entries: Iterable[JournalEntry]) -> Books:
    """The books after all ``entries`` of the wallet's stream."""
    books = Books(name)
    for entry in entries:
        books.apply(entry)
    return books


def positions_digest(positions: Iterable[PositionRow], orders: Iterable[OrderRow]) -> str:
    """Digest of what the tables show: every position that was ever held, and every order that is not closed."""
    held = sorted(
        (
            row.market_id,
            row.token_id,
            row.shares_micro,
            row.settled_micro,
            row.cost_basis_micro,
            row.realized_pnl_micro,
            row.fees_micro,
        )
        for row in positions
        if row.shares_micro or row.settled_micro or row.cost_basis_micro or row.realized_pnl_micro or row.fees_micro
    )
    live = sorted(
        (row.market_id, row.order_id, row.side.value, row.price_micro, row.original_size_micro, row.size_matched_micro)
        for row in orders
        if row.closed_at_ms is None
    )
    return digest((held, live))


def books_digest(books: Books) -> str:
    """The same digest, from rebuilt books."""
    positions = [position_row(state, token_id, 0) for state in books.markets.values() for token_id in state.positions]
    orders = [order_row(state, order) for state in books.markets.values() for order in state.orders.values()]
    return positions_digest(positions, orders)


def replay(config: Config, until: int | None = None, journal_file: Path | None = None) -> dict[str, Any]:
    """Rebuild from the database's journal, or from an exported file, and compare with the stored state.

    ``stored_digest`` is None where there is nothing to compare with: part of a journal, or a file without database.
    """
    if journal_file is not None:
        entries = list(import_lines(journal_file.read_bytes().splitlines(keepends=True)))
        name = entries[0].stream if entries else the_wallet(config).name
        books = rebuild(name, _until(entries, until))
        return _document(books, None, None)
    database = open_readonly(config.storage_url)
    try:
        name = the_wallet(config).name
        journal = Journal(database)
        books = rebuild(name, _until(journal.read(name), until))
        stored = None
        if until is None:
            rows = Queries(database).state_rows(name, name)
            stored = positions_digest(rows.positions, rows.orders)
        return _document(books, stored, journal.verify_chain(name).broken_at)
    finally:
        database.close()


def _until(entries: Iterable[JournalEntry], until: int | None) -> Iterable[JournalEntry]:
    for entry in entries:
        if until is not None and entry.seq > until:
            return
        yield entry


def _document(books: Books, stored: str | None, broken_at: int | None) -> dict[str, Any]:
    rebuilt = books_digest(books)
    return {
        "digest": rebuilt,
        "stored_digest": stored,
        "equal": stored is None or rebuilt == stored,
        "entries": books.entries,
        "chain_broken_at": broken_at,
        "state_digest": digest(tuple(books.digests().items())),
        "states": msgspec.to_builtins(books.digests()),
    }
