"""Keeps a wallet's snapshots: begins from the newest usable one, and makes the next before the tail grows long.

Made at a start from the books that were rebuilt anyway, and later beside the running actors from the journal: the last
snapshot, the entries since, and of the markets only those that an entry was for. Nobody is asked and nothing waits:
the work is done in slices, between which others are let in, and written in small transactions of the lease's owner.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import structlog
from gevent.event import Event

from actors.base import System
from messages.ledger import GENESIS_HASH, JournalEntry, Lease, entry_hash
from service.errors import ServiceError
from service.replay import Books, uncollected
from service.snapshots import Partial, Unusable, entry_at, packed, restored, sealed, usable
from storage.database import Database
from storage.errors import StorageError
from storage.journal import BATCH_ENTRIES, Journal
from storage.snapshots import Snapshot, Snapshots

EVERY = 10_000
"""Entries in the tail that are worth a snapshot: replaying them takes a few tenths of a second."""

SHARE = 4
"""A tail may be a quarter of all entries: it takes about as long as the states of a long life take to load, and what is
written over all that life stays in proportion to it."""

KEPT = 3
"""The newest, and two to fall back on where it is damaged. They share the states that did not change."""

LOOK_MS = 60_000
"""Between two looks at how long the tail has become."""

SLICE_S = 0.005
AT_ONCE = 1024 * 1024
"""Bytes of states in one transaction: commits wait no longer for it than for one of their own."""


class Keeper:
    """One wallet's snapshots, in the process that owns its lease."""

    def __init__(
        self, name: str, database: Database, system: System, lease: Callable[[], Lease], every: int = EVERY
    ) -> None:
        """``lease`` is the wallet's with the head of the last commit; ``every``: see :data:`EVERY`."""
        self._name = name
        self._database = database
        self._system = system
        self._lease = lease
        self._every = every
        self._journal = Journal(database)
        self._snapshots = Snapshots(database)
        self._log = structlog.get_logger(__name__)
        self._seq = 0
        self._proven: set[int] = set()
        self._sound = True
        self._since = 0.0
        self._closed = False
        self._at_rest = Event()
        self._at_rest.set()

    @property
    def seq(self) -> int:
        """Entry of the newest snapshot that is used or was made; 0 before the first."""
        return self._seq

    def rebuilt(self) -> Books:
        """The books after the last entry: from the newest snapshot that can be used, else from the first entry on."""
        with uncollected():
            books, base = self._newest()
            link = _Link(base)
            for entry in self._journal.read(self._name, after_seq=link.seq):
                link.take(entry)
                books.apply(entry)
        self._seq = base.seq if base is not None else 0
        self._sound = link.broken_at is None
        if not self._sound:
            self._log.error("journal_broken", seq=link.broken_at, help="`portfolio-sync verify` tells what was changed")
        return books

    def begin(self, books: Books) -> None:
        """Store books that were just rebuilt where their tail was long, and look again from time to time.

        They are stored once the actors run: a state is never changed, and nobody waits for it.
        """
        later = self._system.runtime.later
        if self._due() and self._sound:
            later(0, lambda: self._attempt(lambda: self.store(books)))
        later(LOOK_MS, self._look)

    def close(self, within_s: float) -> None:
        """Make no more; wait until what is being made has stopped between two slices."""
        self._closed = True
        self._at_rest.wait(within_s)

    def _newest(self) -> tuple[Books, Snapshot | None]:
        for snapshot in self._snapshots.all(self._name):
            try:
                books = restored(self._database, self._name, snapshot.seq)
            except Unusable as error:
                self._passed_over(snapshot, error)
            else:
                self._proven = {snapshot.seq}
                return books, snapshot
        self._proven = set()
        return Books(self._name), None

    def _passed_over(self, snapshot: Snapshot, error: Unusable) -> None:
        say = self._log.warning if error.damaged else self._log.info
        say("snapshot_passed_over", wallet=self._name, seq=snapshot.seq, reason=str(error))

    # -- while running ------------------------------------------------------------------------------------------------

    def _due(self) -> bool:
        tail = self._lease().head_seq - self._seq
        return tail >= max(self._every, self._seq // SHARE)

    def _look(self) -> None:
        try:
            if self._due():
                self._attempt(self.make)
        finally:
            if not self._closed:
                self._system.runtime.later(LOOK_MS, self._look)

    def _attempt(self, make: Callable[[], None]) -> None:
        """What cannot be made now is tried again after as many entries: nothing depends on it but the next start."""
        if self._closed or not self._at_rest.is_set():
            return
        self._at_rest.clear()
        head_seq = self._lease().head_seq
        try:
            make()
        except _Closed:
            pass
        except (StorageError, ServiceError) as error:
            self._seq = head_seq
            self._log.warning("snapshot_not_made", wallet=self._name, seq=head_seq, reason=str(error))
        finally:
            self._at_rest.set()

    def make(self) -> None:
        """A snapshot of the head: from the newest one before, else from the first entry on.

        Only from one all of whose states were seen whole: those that no entry is for are not looked at again.
        """
        self._since = time.perf_counter()
        for snapshot, content in usable(self._database, self._name, self._passed_over):
            if snapshot.seq not in self._proven:
                continue
            try:
                books = Partial(self._database, self._name, content)
                self._follow(books, snapshot)
            except Unusable as error:
                self._passed_over(snapshot, error)
            else:
                self.store(books)
                return
        whole = Books(self._name)
        self._follow(whole, None)
        self.store(whole)

    def _follow(self, books: Books, base: Snapshot | None) -> None:
        """Apply the tail up to the head as it is now. Raises Broken: no snapshot may stand for a changed journal."""
        head_seq, link = self._lease().head_seq, _Link(base)
        while link.seq < head_seq:
            some = list(self._journal.read(self._name, link.seq, min(BATCH_ENTRIES, head_seq - link.seq)))
            self._since = time.perf_counter()
            for entry in some:
                link.take(entry)
                books.apply(entry)
                self._slice()
            if link.broken_at is not None or not some:
                raise Broken(self._name, link.broken_at or link.seq + 1)

    def _slice(self) -> None:
        """Let others in after a while. Raises _Closed where the process is stopping."""
        if self._closed:
            raise _Closed
        if time.perf_counter() - self._since >= SLICE_S:
            self._system.runtime.breathe()
            self._since = time.perf_counter()

    # -- storing ------------------------------------------------------------------------------------------------------

    def store(self, books: Books) -> None:
        """Write what changed of the states first, and the snapshot that names them all last.

        Raises LeaseLost, Broken, StorageError.
        """
        lease = self._lease()
        refs, known = (dict(books.untouched), books.stored) if isinstance(books, Partial) else ({}, frozenset())
        waiting: dict[str, bytes] = {}
        for address, state in books.states().items():
            ref, content = packed(state, self._slice)
            refs[address] = ref
            if ref.key not in known:
                waiting[ref.key] = content
            if sum(map(len, waiting.values())) >= AT_ONCE:
                self._snapshots.put_states(lease, waiting)
                waiting = {}
        self._snapshots.put_states(lease, waiting)
        last = entry_at(self._database, self._name, books.entries)
        if last is None or last.hash != entry_hash(last):
            raise Broken(self._name, books.entries)
        snapshot = sealed(last, books, refs, self._system.clock.now_ms())
        self._snapshots.put(lease, snapshot)
        self._seq = snapshot.seq
        self._proven.add(snapshot.seq)
        self._log.info("snapshot", wallet=self._name, seq=snapshot.seq, states=len(refs), digest=snapshot.digest)
        self._sweep(lease)

    def _sweep(self, lease: Lease) -> None:
        kept = list(itertools.islice(usable(self._database, self._name, self._passed_over), KEPT))
        keys = {ref.key for _, content in kept for ref in content.states.values()}
        self._snapshots.keep(lease, {snapshot.seq for snapshot, _ in kept}, keys)


class Broken(ServiceError):
    """An entry of the journal does not follow from the one before, or was changed."""

    def __init__(self, name: str, seq: int) -> None:
        """``seq`` is the first such entry."""
        super().__init__(
            f"the journal of {name} is broken at entry {seq}; `portfolio-sync verify` tells what was changed"
        )


class _Closed(Exception):
    """The process is stopping."""


class _Link:
    """Follows a chain from a snapshot on, or from the first entry."""

    def __init__(self, base: Snapshot | None) -> None:
        self.seq = base.seq if base is not None else 0
        self.broken_at: int | None = None
        self._hash = base.hash if base is not None else GENESIS_HASH

    def take(self, entry: JournalEntry) -> None:
        """The next entry; the first that does not follow is noted."""
        follows = entry.seq == self.seq + 1 and entry.previous_hash == self._hash and entry.hash == entry_hash(entry)
        if not follows and self.broken_at is None:
            self.broken_at = self.seq + 1
        self.seq, self._hash = entry.seq, entry.hash
