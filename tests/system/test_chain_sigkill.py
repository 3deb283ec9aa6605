"""kill -9 of the service around a reorganisation of its chain: what it booked from blocks that are no more is undone.

The service follows the head and compares finalized blocks, so all that is looked at here was booked from logs alone.
Each round has one depth and one moment of the kill; what stood in the dropped blocks comes again in half of them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from polymarket.sandbox.actions import AnyAction, FillOrder, Merge, Reorganise, Split, TransferIn, TransferOut
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from tests.support.live import LiveService, LiveSettings, Stage, until

FINALITY = 12
WORLD = WorldOptions(seed=31, block_time_ms=500, finality_blocks=FINALITY, activity=False)
QUIET = LiveSettings(sync_interval_s=60)
"""Cycles that come by themselves are those of a new life, and those that changes make due."""

ROUNDS = [
    (1, "unseen", False),
    (3, "unseen", True),
    (10, "booked", False),
    (3, "booked", True),
    (3, "dropped", False),
    (10, "dropped", True),
    (1, "undone", False),
]
"""Depth; what the service had done when it was killed; whether what was dropped comes again."""


class Round:
    """A reorganisation, a kill and another life."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.service, self.control = stage, stage.service, stage.control

    def happen(self, depth: int, *, seen: bool, filled: bool) -> list[str]:
        """Things in the middle of so many blocks; the hashes of those that are no trades."""
        self.control.pause()
        self.control.mine(depth // 2)
        if filled:
            order = self.control.books()["orders"][0]["id"]
            self.control.act(FillOrder(order_id=order, size="1.5"))
        hashes = [self.control.act(action).get("transaction_hash", "") for action in self._actions()]
        self.control.mine(depth - depth // 2)
        if seen:
            self.agree("what happened is in the books")
        return [each for each in hashes if each]

    def _actions(self) -> list[AnyAction]:
        books = self.control.books()
        market = books["markets"][-1]["condition_id"]
        held = sorted((row for row in books["positions"]), key=lambda row: row["token_id"])
        return [
            Split(condition_id=market, amount="7.5"),
            TransferOut(token_id=held[0]["token_id"], amount="1.25"),
            Merge(condition_id=market, amount="2.125"),
            TransferIn(token_id=held[-1]["token_id"], amount="3.000001"),
        ]

    def agree(self, what: str) -> None:
        """Wait until the books are the sandbox's; no block comes meanwhile."""
        until(lambda: self.service.shares() == self.tokens(), what)

    def tokens(self) -> dict[str, int]:
        return {token: amount for token, amount in self.control.tokens().items() if amount}

    def play(self, depth: int, moment: str, *, again: bool) -> None:
        """Until a new life has the books right, at the head and without any cycle that has compared it."""
        before = self.tokens()
        hashes = self.happen(depth, seen=moment != "unseen", filled=again)
        if moment in {"unseen", "booked"}:
            self.service.kill()
        self.control.act(Reorganise(depth=depth, delay=int(depth > 1), drop=[] if again else hashes))
        if not again:
            assert self.tokens() == before
        if moment == "undone":
            self.agree("what was dropped is undone")
        if moment in {"dropped", "undone"}:
            self.service.kill()
        self.control.resume()
        self.service.start().ready()
        self.agree("a new life has the books right")


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """All rounds, and quiet."""
    with SandboxProcess(WORLD) as sandbox:
        service = LiveService(tmp_path_factory.mktemp("chain"), sandbox.info, QUIET)
        stage = Stage(sandbox, service)
        try:
            service.start().ready()
            stage.quiet()
            for depth, moment, again in ROUNDS:
                Round(stage).play(depth, moment, again=again)
            stage.control.mine(FINALITY)
            stage.quiet()
            yield stage
        finally:
            service.close()


def rows(stage: Stage, sql: str) -> list[dict[str, Any]]:
    """Of the stored tables, read beside the owner."""
    file = stage.service.folder / "books.db"
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
        reader.row_factory = sqlite3.Row
        return [dict(row) for row in reader.execute(sql)]


@pytest.mark.req("X-01", "X-14", "R-31", "L-17", "L-20")
def test_after_reorganisations_and_kills_the_books_are_the_sandboxs(aftermath: Stage) -> None:
    books = aftermath.control.books()
    assert aftermath.service.shares() == {token: amount for token, amount in books["tokens"].items() if amount}
    report = aftermath.cycle()["operations_report"]
    assert (report["cash_unexplained"], report["pending_count"]) == (0, 0)
    document = aftermath.service.json_of("replay")
    assert (document["equal"], document["chain_broken_at"]) == (True, None)


@pytest.mark.req("X-01", "X-14", "L-14", "D-02")
def test_no_entry_was_inferred_and_what_was_undone_is_stated(aftermath: Stage) -> None:
    entries = rows(aftermath, "SELECT * FROM adjustments WHERE cause != 'OPENING'")
    found = {row["cause"] for row in entries}
    assert {"POSITION_SPLIT", "POSITION_MERGED", "TRANSFER_IN", "TRANSFER_OUT", "REORGANISED"} == found
    logged = [row for row in entries if row["cause"] != "REORGANISED"]
    assert all(row["entry_id"].startswith("chain:") for row in logged)
    undone = [row for row in entries if row["cause"] == "REORGANISED"]
    assert all("was dropped by the chain" in row["evidence"] for row in undone)
