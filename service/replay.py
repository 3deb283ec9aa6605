"""Rebuilding the state from the journal (D-20, L-20). Needs no actor.

Every entry is applied to its own address, with its outcomes suppressed, so the result does not depend on the schedule
that wrote it. What the tables then must show is ``rebuilt``'s.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from actors.readings import IngestState, advance
from messages.addresses import Address, coordinator_address, gate_address, kind_of, market_of
from messages.codec import CodecError, decode
from messages.ledger import JournalEntry
from portfolio import gate, market, wallet
from portfolio.closing import aborted, critical_drifts
from portfolio.events import CursorAdvanced, CycleClosed, DriftFound, Event
from portfolio.gate import GateState
from portfolio.images import image_of
from portfolio.judging import ViewResult
from portfolio.outcomes import CursorRow, CycleStatus, Outcome
from portfolio.state import MarketState, digest
from portfolio.views import ExternalView
from portfolio.wallet import WalletState
from service.errors import ServiceError


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

    def apply(self, entry: JournalEntry) -> tuple[Outcome, ...]:
        """Apply one entry; returns the rows that it gave when it was decided.

        Raises:
            ReplayFailed: an address or event that this version does not know.
        """
        event: Any = self._event(entry)
        self.entries += 1
        match kind_of(entry.address):
            case "market":
                return self._tell_market(event, entry)
            case "coordinator":
                if isinstance(event, CycleClosed):
                    self._close(event)
                closed = wallet.transition(self.wallet, event, entry.at_ms)
                self.wallet = closed.state
                return closed.rows
            case "gate":
                if isinstance(event, DriftFound):
                    self._unjudged = [drift for drift in self._unjudged if drift != event]
                judged = gate.transition(self.gate, event, entry.at_ms)
                self.gate = judged.state
                return judged.rows
            case "ingest" if isinstance(event, CursorAdvanced):
                self.ingest = advance(self.ingest, event)
                name = self.ingest.wallet
                return (CursorRow(wallet=name, source=event.source, value=event.value, at_ms=entry.at_ms),)
            case _:
                text = f"entry {entry.seq} of {entry.stream} is for {entry.address}, which this version does not know"
                raise ReplayFailed(text)

    @staticmethod
    def _event(entry: JournalEntry) -> Event:
        try:
            return decode(entry.payload, entry.kind, entry.schema)
        except CodecError as error:
            raise ReplayFailed(f"entry {entry.seq} of {entry.stream} cannot be replayed: {error}") from error

    def _tell_market(self, event: Any, entry: JournalEntry) -> tuple[Outcome, ...]:
        state = self.markets.get(entry.address)
        if state is None:
            state = MarketState(wallet=self.wallet.wallet, market_id=market_of(entry.address))
        step = market.transition(state, event, entry.at_ms)
        self.markets[entry.address] = step.state
        if isinstance(event, ExternalView):
            self._viewed(event, step.result)
        return step.rows

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
    with uncollected():
        for entry in entries:
            books.apply(entry)
    return books


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without collections of garbage: transitions leave none, and what they keep would be gone through again and again.

    A fifth of the time of a long journal.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
