"""The watcher and blocks that others replace: how far it goes back, whom it tells, and what it forgets (X-01, X-14)."""

from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from actors.watching import FINAL_DEPTH
from messages.feeding import Counted
from tests.support.onchain import again, reorganise, transferred
from tests.unit.actors.watched import BEGIN, Scene, placed
from tests.unit.actors.worlds import SHARE


@pytest.mark.req("X-01", "X-14")
def test_it_goes_back_to_the_newest_block_that_stands_and_tells_the_drop_before_what_took_its_place() -> None:
    scene = Scene()
    scene.follow()
    placed(scene, "0x1", "0x2", "0x3")
    second = scene.venue.transactions[1].block_number
    lost = reorganise(scene.venue, second)
    for one in reversed(lost):
        again(scene.venue, one)
    scene.interval()
    assert scene.told() == ["0x1", "0x2", "0x3", f"-{second}", f"-{second + 1}", "0x3", "0x2"]
    assert [read.from_block for read in scene.looks[-2:]] == [second + 2, second]
    assert scene.reporter.heard == [Counted(names=("chain_reorganised",))]


@pytest.mark.req("X-01", "X-14")
def test_where_no_block_below_is_known_to_stand_it_reads_again_all_since_it_began() -> None:
    """The first look went to the head at once: of the blocks on the way there no hash is known."""
    scene = Scene()
    scene.ahead(5)
    scene.follow(block_number=scene.venue.head)
    reorganise(scene.venue, BEGIN + 3)
    transferred(scene.venue, "0xnew", "0xa-yes", SHARE, BEGIN + 3)
    scene.interval()
    assert scene.told() == [f"-{BEGIN + 5}", "0xnew"]
    assert scene.looks[-1].from_block == BEGIN + 1


@pytest.mark.req("X-01", "X-14")
def test_a_cycle_whose_block_was_replaced_is_told_so() -> None:
    scene = Scene()
    scene.ahead(3)
    scene.follow(cycle_id="before")
    old = scene.venue.block_hash(scene.venue.head)
    number = scene.venue.head
    reorganise(scene.venue, number)
    scene.follow(cycle_id="cycle", block_number=number, block_hash=old)
    assert scene.passed() == [("before", True, ""), ("cycle", False, f"block {number} was replaced")]


@pytest.mark.req("X-14", "R-31")
def test_only_blocks_that_may_still_be_dropped_are_kept_and_one_below() -> None:
    scene = Scene()
    scene.follow()
    for name in range(200):
        transferred(scene.venue, f"0x{name}", "0xa-yes", SHARE)
        scene.venue.finalized = scene.venue.head - 5
        scene.interval()
    numbers = [number for number, _ in scene.described()["state"]["tail"]]
    assert numbers == list(range(scene.venue.head - 5, scene.venue.head + 1))


@pytest.mark.req("X-14", "R-31")
def test_where_the_endpoint_does_not_say_what_is_final_so_many_blocks_are_kept() -> None:
    scene = Scene()
    scene.follow()
    for _ in range(FINAL_DEPTH):
        scene.ahead(2)
        scene.interval()
    known = [number for number, _ in scene.looks[-1].known]
    assert len(known) == FINAL_DEPTH // 2 + 1
    assert known[0] <= scene.venue.head - FINAL_DEPTH


@pytest.mark.req("X-14", "R-31")
def test_a_final_block_that_was_replaced_all_the_same_is_an_error_in_the_log_and_is_followed() -> None:
    scene = Scene()
    scene.follow()
    placed(scene, "0x1", "0x2")
    second = scene.venue.transactions[-1].block_number
    scene.venue.finalized = second
    scene.interval()
    reorganise(scene.venue, second)
    with capture_logs() as logs:
        scene.interval()
    assert {"event": "finalized_block_replaced", "block": second, "finalized": second, "log_level": "error"} in [
        {key: value for key, value in entry.items() if key != "address"} for entry in logs
    ]
    assert scene.told()[-1] == f"-{second}"


@pytest.mark.req("X-14")
def test_an_ordinary_reorganisation_is_no_error() -> None:
    scene = Scene()
    scene.venue.finalized = BEGIN
    scene.follow()
    placed(scene, "0x1")
    reorganise(scene.venue, scene.venue.head)
    with capture_logs() as logs:
        scene.interval()
    assert {entry["log_level"] for entry in logs} == {"warning"}


# -- blocks of an earlier life -----------------------------------------------------------------------------------------


@pytest.mark.req("X-01", "X-14", "L-17")
def test_a_block_of_an_earlier_life_that_is_gone_is_told_once_and_what_took_its_place_is_read() -> None:
    scene = Scene()
    old = (BEGIN - 2, scene.venue.block_hash(BEGIN - 2))
    lost = transferred(scene.venue, "0xold", "0xa-yes", SHARE)
    scene.venue.transactions = [msgspec.structs.replace(lost, block_number=old[0], block_hash=old[1])]
    moved_on = reorganise(scene.venue, BEGIN - 2)
    again(scene.venue, moved_on[0], BEGIN - 1)
    scene.follow(standing=(old,))
    assert scene.told() == [f"-{BEGIN - 2}", "0xold"]
    assert scene.passed() == [("cycle", True, "")]
    looks = len(scene.looks)
    scene.interval(3)
    assert (len(scene.looks), scene.told()) == (looks + 3, [f"-{BEGIN - 2}", "0xold"])


@pytest.mark.req("X-01", "X-14", "L-17")
def test_a_block_of_an_earlier_life_that_stands_is_watched_from_then_on() -> None:
    """A reorganisation may be deeper than this life has read."""
    scene = Scene()
    old = (BEGIN - 2, scene.venue.block_hash(BEGIN - 2))
    scene.follow(standing=(old,))
    for _ in range(2):
        scene.ahead(2)
        scene.interval()
    assert (scene.looks[-1].standing, old in scene.looks[-1].known) == ((), True)
    reorganise(scene.venue, BEGIN - 2)
    scene.interval()
    assert scene.told()[0] == f"-{BEGIN - 2}"


@pytest.mark.req("X-01", "X-14")
def test_blocks_that_it_watches_itself_or_that_are_final_are_not_looked_at_again() -> None:
    scene = Scene()
    scene.venue.finalized = BEGIN
    scene.follow()
    placed(scene, "0x1")
    seen = scene.venue.transactions[-1]
    final = (BEGIN - 1, scene.venue.block_hash(BEGIN - 1))
    scene.follow(standing=((seen.block_number, seen.block_hash), final), block_number=seen.block_number)
    assert scene.looks[-1].standing == ()
