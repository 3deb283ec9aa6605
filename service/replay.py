"""Rebuilding the state from the journal (D-20, L-20). Needs no actor.

Every entry is applied to its own address, with its outcomes suppressed, so the result does not depend on the schedule
that wrote it. What the tables then must show is ``rebuilt``'s.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from actors.readings import IngestState, advance
from messages.addresses import Address, coordinator_address, gate_address, ingest_address, kind_of, market_of
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


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of books belongs to no actor alone, as it stands between two entries."""

    entries: int
    interrupted: tuple[str, int] | None
    results: tuple[ViewResult, ...]
    unjudged: tuple[DriftFound, ...]
    reconciled_block: int | None
    logs_until: int | None


State: TypeAlias = MarketState | WalletState | GateState | IngestState


class Books:
    """All states of one wallet, by address."""

    def __init__(self, name: str, *, rows: bool = False) -> None:
        """Nothing yet. Only with ``rows`` are all rows of markets made: states are the same without, and quicker."""
        self._rows = rows
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
        self.logs_until: int | None = None
        """The block up to which the chain's logs are needed no more, where that is known."""

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
        """Apply one entry; returns the rows that it gave when it was decided, all of them where they are made.

        Raises:
            ReplayFailed: an address or event that this version does not know.
        """
        try:
            event: Any = decode(entry.payload, entry.kind, entry.schema)
        except CodecError as error:
            raise ReplayFailed(f"entry {entry.seq} of {entry.stream} cannot be replayed: {error}") from error
        self.entries += 1
        known = self.markets.get(entry.address)
        if known is not None:
            return self._tell_market(event, entry, known)
        match kind_of(entry.address):
            case "market":
                new = MarketState(wallet=self.wallet.wallet, market_id=market_of(entry.address))
                return self._tell_market(event, entry, new)
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

    def _tell_market(self, event: Any, entry: JournalEntry, state: MarketState) -> tuple[Outcome, ...]:
        step = market.transition(state, event, entry.at_ms, rows=self._rows)
        self.markets[entry.address] = step.state
        if type(event) is ExternalView:
            self._viewed(event, step.result)
        return step.rows

    def _close(self, event: CycleClosed) -> None:
        self.interrupted = None
        if event.report.status is not CycleStatus.ABORTED:
            # The gate judged before this cycle closed, and the writer keeps that order; an aborted one has no judge.
            self._unjudged = []
        if event.report.onchain_reconciled:
            self.reconciled_block = event.report.block_number
            self.logs_until = event.logs_until

    def _viewed(self, view: ExternalView, result: ViewResult | None) -> None:
        if self.interrupted is None or self.interrupted[0] != view.cycle_id:
            self.interrupted = (view.cycle_id, view.synced_at_ms)
            self._results = []
        if result is not None:
            self._results.append(result)
            self._unjudged += critical_drifts(
                [result], view.synced_at_ms, view.cycle_id, onchain_reconciled=view.chain is not None
            )

    def states(self) -> Mapping[str, State]:
        """Every state, by address, in the order of addresses; a market that nothing changed yet has none."""
        name = self.wallet.wallet
        found: dict[str, State] = {
            **{address: state for address, state in self.markets.items() if state.version},
            coordinator_address(name): self.wallet,
            ingest_address(name): self.ingest,
            gate_address(name): self.gate,
        }
        return dict(sorted(found.items()))

    def digests(self) -> Mapping[str, str]:
        """Digest of every state, by address."""
        return {address: digest(state) for address, state in self.states().items()}

    @property
    def span(self) -> Span:
        """What belongs to no actor alone."""
        return Span(
            entries=self.entries,
            interrupted=self.interrupted,
            results=tuple(self._results),
            unjudged=tuple(self._unjudged),
            reconciled_block=self.reconciled_block,
            logs_until=self.logs_until,
        )

    def put(self, address: str, state: State) -> None:
        """Take an actor's state over."""
        match state:
            case WalletState():
                self.wallet = state
            case IngestState():
                self.ingest = state
            case GateState():
                self.gate = state
            case _:
                self.markets[address] = state

    def go_on_from(self, span: Span) -> None:
        """Take over what belongs to no actor alone."""
        self.entries = span.entries
        self.interrupted = span.interrupted
        self._results = list(span.results)
        self._unjudged = list(span.unjudged)
        self.reconciled_block = span.reconciled_block
        self.logs_until = span.logs_until


def digest_of(digests: Mapping[str, str]) -> str:
    """One digest of those of all states, in the order of addresses (D-20)."""
    return digest(tuple(sorted(digests.items())))


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
