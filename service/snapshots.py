"""Snapshots: the books as they were after an entry of the journal, to begin a replay from there (D-23, L-20).

A snapshot is what the journal gives and never what a running process holds. It is used only where all of it holds: its
place in the chain, every byte, the digest of every state, and that this very code wrote it. Else it is passed over.

States are stored apart by the hash of what is stored, so that snapshots share those that did not change. Within one,
entries keep the order in which they came: the books go on from it exactly as they were.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from actors.readings import IngestState
from messages.addresses import kind_of
from messages.ledger import JournalEntry, entry_hash
from portfolio.gate import GateState
from portfolio.state import MarketState, digest
from portfolio.table import Table
from portfolio.wallet import WalletState
from service.errors import ServiceError
from service.replay import Books, Span, State, digest_of
from service.version import code
from storage.database import Database
from storage.journal import Journal
from storage.snapshots import Snapshot, Snapshots

FORMAT = 1
"""How content and states are laid out; raised when that changes."""

PIECE = 64 * 1024
"""Bytes that are compressed at a time."""

_STATES: Mapping[str, type[State]] = {
    "market": MarketState,
    "coordinator": WalletState,
    "gate": GateState,
    "ingest": IngestState,
}


class Ref(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A state by its digest (D-20), and the key under which it is stored."""

    digest: str
    key: str


class Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a snapshot is made of: the states of all actors by their addresses, and what is between them."""

    span: Span
    states: dict[str, Ref]


class Unusable(ServiceError):
    """A snapshot is not what it claims to be (``damaged``), or not of this code; the journal has all of it."""

    def __init__(self, reason: str, *, damaged: bool) -> None:
        """``reason`` follows the snapshot's name in messages."""
        super().__init__(reason)
        self.damaged = damaged


def opened(snapshot: Snapshot, database: Database) -> Content:
    """What a snapshot is made of. Raises Unusable where it cannot be used, whatever its states are."""
    if (snapshot.format, snapshot.code) != (FORMAT, code()):
        raise Unusable("it was written by another version of the code", damaged=False)
    if not snapshot.sound:
        raise Unusable("it was changed since it was written", damaged=True)
    entry = entry_at(database, snapshot.stream, snapshot.seq)
    if entry is None or not entry.hash == snapshot.hash == entry_hash(entry):
        raise Unusable(f"entry {snapshot.seq} of the journal is not the one that it stands for", damaged=True)
    try:
        content = _content.decode(snapshot.content)
    except msgspec.DecodeError as error:
        raise Unusable(f"it cannot be read: {error}", damaged=True) from error
    if digest_of({address: ref.digest for address, ref in content.states.items()}) != snapshot.digest:
        raise Unusable("its digest is not that of its states", damaged=True)
    return content


def entry_at(database: Database, stream: str, seq: int) -> JournalEntry | None:
    """One entry of the journal."""
    entry = next(Journal(database).read(stream, after_seq=seq - 1, limit=1), None)
    return entry if entry is not None and entry.seq == seq else None


def sealed(entry: JournalEntry, books: Books, refs: Mapping[str, Ref], at_ms: int) -> Snapshot:
    """The snapshot of books after their last entry, whose states are stored as ``refs`` say."""
    content = Content(span=books.span, states=dict(sorted(refs.items())))
    return Snapshot(
        stream=entry.stream,
        seq=entry.seq,
        hash=entry.hash,
        format=FORMAT,
        code=code(),
        at_ms=at_ms,
        digest=digest_of({address: ref.digest for address, ref in refs.items()}),
        content=_encoder.encode(content),
    ).sealed()


def packed(state: State, breathe: Callable[[], None]) -> tuple[Ref, bytes]:
    """A state as it is stored; ``breathe`` is called between two pieces of work."""
    found = digest(state)
    breathe()
    plain = _encoder.encode(state)
    compressor = zlib.compressobj(level=1)
    pieces = []
    for start in range(0, len(plain), PIECE):
        breathe()
        pieces.append(compressor.compress(plain[start : start + PIECE]))
    content = b"".join((*pieces, compressor.flush()))
    return Ref(digest=found, key=_key(content)), content


def unpacked(address: str, ref: Ref, content: bytes | None) -> State:
    """The state of an actor. Raises Unusable where what is stored is not that one."""
    if content is None or _key(content) != ref.key:
        raise Unusable(f"the state of {address} is {'gone' if content is None else 'damaged'}", damaged=True)
    try:
        state: State = _decoder(kind_of(address)).decode(zlib.decompress(content))
    except (msgspec.DecodeError, zlib.error, KeyError) as error:
        raise Unusable(f"the state of {address} cannot be read: {error}", damaged=True) from error
    if digest(state) != ref.digest:
        raise Unusable(f"the state of {address} has another digest", damaged=True)
    return state


def restored(database: Database, stream: str, seq: int) -> Books:
    """The books that a snapshot holds. Raises Unusable; that it is gone meanwhile is no damage."""
    whole = Snapshots(database).whole(stream, seq, _keys)
    if whole is None:
        raise Unusable("it is there no more", damaged=False)
    snapshot, stored = whole
    content = opened(snapshot, database)
    books = Books(stream)
    books.go_on_from(content.span)
    for address, ref in content.states.items():
        books.put(address, unpacked(address, ref, stored.get(ref.key)))
    return books


def _keys(snapshot: Snapshot) -> list[str]:
    """Of the states that it names; none where it cannot be read, which ``opened`` then says."""
    try:
        return [ref.key for ref in _content.decode(snapshot.content).states.values()]
    except msgspec.DecodeError:
        return []


def usable(
    database: Database, stream: str, passed_over: Callable[[Snapshot, Unusable], None]
) -> Iterator[tuple[Snapshot, Content]]:
    """Snapshots that can be used as far as their rows tell, the newest first."""
    for snapshot in Snapshots(database).all(stream):
        try:
            content = opened(snapshot, database)
        except Unusable as error:
            passed_over(snapshot, error)
        else:
            yield snapshot, content


class Partial(Books):
    """Books that take up a market's state from a snapshot when the first entry for it comes.

    ``untouched`` are the states that no entry was for yet; ``stored`` the keys of all that the snapshot names.
    """

    def __init__(self, database: Database, stream: str, content: Content) -> None:
        """Without markets."""
        super().__init__(stream)
        self.untouched = dict(content.states)
        self.stored = frozenset(ref.key for ref in content.states.values())
        self._snapshots = Snapshots(database)
        self.go_on_from(content.span)
        for address in [address for address in content.states if kind_of(address) != "market"]:
            self._take_up(address)

    def apply(self, entry: JournalEntry) -> Any:
        """As all books do it."""
        if entry.address in self.untouched:
            self._take_up(entry.address)
        return super().apply(entry)

    def _take_up(self, address: str) -> None:
        ref = self.untouched.pop(address)
        stored = self._snapshots.states(self.wallet.wallet, [ref.key])
        self.put(address, unpacked(address, ref, stored.get(ref.key)))


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


_encoder = msgspec.json.Encoder(enc_hook=Table.as_dict)
"""Not in canonical order: a state's own order is part of it here."""

_content = msgspec.json.Decoder(Content)


@functools.cache
def _decoder(kind: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_STATES[kind])
