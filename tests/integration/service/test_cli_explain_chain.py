"""`explain` marks what stands on blocks that the chain may still drop, or has dropped (X-14, R-31)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portfolio.entries import Cause
from portfolio.events import ChainDropped, ChainSeen
from portfolio.facts import TradeStatus
from portfolio.outcomes import OperationsReport
from portfolio.tail import ChainFact, DroppedBlock
from service.cli import main
from tests.integration.service.books import configured, json_of
from tests.integration.service.lives import Kept, hint, stored
from tests.integration.storage import samples
from tests.unit.portfolio.markets import NO, SECOND, SHARE, chain, leg

pytestmark = [pytest.mark.usefixtures("clean_environment"), pytest.mark.req("X-04", "X-14", "R-31")]

BLOCK = 80_000_045
"""Of all facts here."""

SEEN_MEANS = "(seen) its block is not final yet: should the chain drop it, the change is undone"
DROPPED_MEANS = "(dropped) the chain dropped its block, and what it showed was undone"


def merge(fork: str) -> ChainFact:
    """Of four shares of each outcome, in a block whose hash ends in ``fork``."""
    merged = hint(Cause.POSITION_MERGED, 4 * SHARE, 3, yes=-4 * SHARE, no=-4 * SHARE)
    return ChainFact(hint=merged, transaction_hash=f"0x{3:064x}", block_number=BLOCK, block_hash=f"0x{'0' * 63}{fork}")


def merged(*, dropped: bool = False) -> Kept:
    """Ten shares of each, four of them merged by a log; with ``dropped`` that block was lost, and has it again."""
    book = Kept()
    book.see(leg("y", status=TradeStatus.CONFIRMED, transaction_hash="0x" + "b1" * 32))
    book.see(leg("n", token_id=NO, order_id="o2", status=TradeStatus.CONFIRMED))
    book.look(chain(40, yes=10 * SHARE, no=10 * SHARE))
    book.tell(ChainSeen(facts=(merge("a"),), final_block=0))
    if dropped:
        book.wait(SECOND)
        block = DroppedBlock(block_number=BLOCK, block_hash=merge("a").block_hash)
        book.tell(ChainDropped(blocks=(block,)))
        book.tell(ChainSeen(facts=(merge("b"),), final_block=0))
    return book


def compared(block: int, *reasons: str, at_s: int = 200, reconciled: bool = True) -> OperationsReport:
    """A cycle that ended at that time."""
    given = {"cycle_id": f"c{at_s}", "synced_at_ms": samples.AT_MS + at_s * SECOND, "reasons": reasons}
    return samples.operations(block_number=block, onchain_reconciled=reconciled, **given)


@pytest.mark.parametrize(
    ("cycles", "finality"),
    [
        ((), "seen"),
        ((compared(BLOCK - 1),), "seen"),
        ((compared(BLOCK),), "final"),
        ((compared(BLOCK - 1), compared(BLOCK, "chain.agreement: endpoint 2: no answer", at_s=201)), "seen"),
        ((compared(BLOCK), compared(BLOCK + 1, at_s=201, reconciled=False)), "final"),
    ],
)
def test_a_change_is_final_once_a_cycle_without_doubt_has_compared_at_its_block(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, cycles: tuple[OperationsReport, ...], finality: str
) -> None:
    stored(tmp_path, merged(), *cycles)
    where = ("--config", str(configured(tmp_path)))
    story = json_of(capsys, "explain", "rain", "--json", *where)
    told = {line["finality"] for line in story["lines"] if line["cause"] == "POSITION_MERGED"}
    assert told == {finality}
    assert {line["finality"] for line in story["lines"] if line["transaction_hash"] is None} == {None}
    assert main(["explain", "rain", *where]) == 0
    said = capsys.readouterr().out
    assert (f"block {BLOCK} (seen)" in said, SEEN_MEANS in said) == (finality == "seen",) * 2
    assert "(final)" not in said


def test_what_a_reorganisation_took_back_is_marked_and_named_by_the_dropped_block(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stored(tmp_path, merged(dropped=True), compared(BLOCK))
    where = ("--config", str(configured(tmp_path)))
    story = json_of(capsys, "explain", "rain", "--json", *where)
    assert story["adds_up"]
    told = [
        (line["cause"], line["shares_micro"] // SHARE, line["finality"])
        for line in story["lines"]
        if line["outcome"] == "Yes" and line["block_number"] == BLOCK
    ]
    assert told == [
        ("POSITION_MERGED", -4, "dropped"),
        ("REORGANISED", 4, "dropped"),
        ("POSITION_MERGED", -4, "final"),
    ]
    assert main(["explain", "rain", *where]) == 0
    said = capsys.readouterr().out
    assert DROPPED_MEANS in said
    assert SEEN_MEANS not in said
    assert len(re.findall(r"adjustment POSITION_MERGED; taken back since +Yes", said)) == 1
    assert len(re.findall(r"adjustment POSITION_MERGED +Yes", said)) == 1
    dropped = re.search(r"restatement REORGANISED +Yes +4.0 .*", said)
    assert dropped
    assert f", log 3; block {BLOCK} (0x" in dropped[0], "the block is told once"
    assert "was dropped by the chain" in dropped[0]
    assert "0" * 40 not in said, "hashes are shortened"
    assert main(["explain", "rain", "--wide", *where]) == 0
    assert merge("a").block_hash in capsys.readouterr().out
