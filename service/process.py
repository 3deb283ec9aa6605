"""The running process: actors started in order, stopped in reverse, and offered to HTTP and the CLI.

Started: supervisor, writer, reporter, gate, ingest, markets, coordinator; each is pinged, so that a failure at start is
an error here and not a silence later. Stopped: first who starts work, last who makes it durable.
"""

from __future__ import annotations

import gc

from messages.addresses import (
    REPORTER,
    SUPERVISOR,
    WATCHER,
    WRITER,
    Address,
    coordinator_address,
    gate_address,
    ingest_address,
    kind_of,
)
from portfolio.events import WalletDefined
from service.offering import Offering
from service.wiring import STOP_WITHIN_S, Outside
from storage.journal import Journal
from storage.lease import Leases

__all__ = ["Outside", "Process"]

COLLECT_AFTER = (20_000, 20, 50)
"""Objects made, and passes over the younger ones, before the collector goes over a generation."""


class Process(Offering):
    """One wallet's service. Implements ``service.api.ServiceApi``."""

    def start(self, *, cycles: bool = True, begin: bool = True) -> None:
        """Take the lease, rebuild from snapshot and journal, start all actors, and begin the first cycle (S-14).

        Without ``cycles`` only what obeys commands is started: nothing is read from outside. Without ``begin`` the
        first cycle is the one that ``force_sync`` asks for.
        """
        self._begin = begin
        leases = Leases(self._database)
        lease = leases.acquire(self._wallet.name, self._config.service.bot_id, self._clock.now_ms())
        self._ledger.hold(lease)
        for last in Journal(self._database).read(self._wallet.name, after_seq=lease.head_seq - 1):
            self._stamps.begin(last.at_ms)
        self._books = self._keeper.rebuilt()
        self._keeper.begin(self._books)
        started = self._deciding() if cycles else self._deciding()[:-1]
        for address in (SUPERVISOR, WRITER, REPORTER, *((WATCHER,) if cycles else ()), *started):
            self._start_actor(address)
        self._tell_gate_settings()
        if cycles:
            self._tell_wallet()
        self._began()
        about = {"entries": self._books.entries, "snapshot": self._keeper.seq}
        self._log.info("started", wallet=self._wallet.name, **about)

    def _began(self) -> None:
        """All actors run: from here on nothing is set up any more."""
        _collect_rarely()

    def _deciding(self) -> tuple[Address, ...]:
        name = self._wallet.name
        return (
            gate_address(name),
            ingest_address(name),
            *(Address(address) for address in sorted(self._books.markets)),
            coordinator_address(name),
        )

    def _tell_wallet(self) -> None:
        """Who the wallet is enters as a journaled message (D-16); a cycle cut short gets its report (D-11 d)."""
        name = self._wallet.name
        defined = WalletDefined(
            address=self._wallet.address,
            signer_address=self._wallet.signer_address,
            signature_type=self._wallet.signature_type,
        )
        self._post.tell(coordinator_address(name), defined)
        for address, event in self._books.recovery():
            self._post.tell(address, event)

    def stop(self) -> None:
        """Stop in reverse: first who starts work, last who makes it durable; nothing decided is lost."""
        ours = {coordinator_address(self._wallet.name), ingest_address(self._wallet.name)}
        first = [address for address in reversed(self._post.addresses) if kind_of(address) in {"market", "gate"}]
        self._keeper.close(STOP_WITHIN_S)
        for address in (WATCHER, *sorted(ours), *first):
            self._stop_actor(address)
        for address in (WRITER, REPORTER, WRITER):
            self._settle(address)
        for address in (REPORTER, WRITER, SUPERVISOR):
            self._stop_actor(address)
        self._outside.close()
        self._database.close()
        gc.unfreeze()
        self._log.info("stopped", wallet=self._wallet.name)

    def _stop_actor(self, address: Address) -> None:
        ref = self._post.ref(address)
        self._post.unregister(address)
        if ref is None or not ref.is_alive():
            return
        if not ref.stop(timeout=STOP_WITHIN_S):
            self._log.warning("actor_did_not_stop", address=address, within_s=STOP_WITHIN_S)


def _collect_rarely() -> None:
    """Leave what is loaded and rebuilt by now out of garbage collection, and collect the rest less often.

    States and messages are values without cycles and die when nobody holds them; going over all that lives took 0.4 s
    at a time from whoever waited, once the books held 100,000 fills.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
