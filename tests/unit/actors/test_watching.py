"""The watcher alone: when it looks, what it hands on and to whom, and what it does without an answer (X-01)."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from actors.watching import AGAIN_MS
from messages.following import BlockPassed, ChainFollowed
from messages.reads import ReadLogs
from portfolio.facts import FailureKind
from tests.support.onchain import again, merged, reorganise, transferred
from tests.support.venue import FUNDER
from tests.unit.actors.watched import BEGIN, INTERVAL_MS, Scene, placed
from tests.unit.actors.worlds import SHARE

# -- when it looks -----------------------------------------------------------------------------------------------------


@pytest.mark.req("X-01")
def test_nobody_is_followed_and_nothing_is_read_before_somebody_asks() -> None:
    scene = Scene()
    scene.interval(3)
    assert scene.looks == []


@pytest.mark.req("X-01")
def test_it_looks_when_it_is_asked_and_then_at_every_interval_from_where_it_is() -> None:
    scene = Scene()
    scene.ahead(5)
    scene.follow()
    assert [read.from_block for read in scene.looks] == [BEGIN + 1]
    for _ in range(3):
        scene.ahead(2)
        scene.interval()
    assert [read.from_block for read in scene.looks] == [BEGIN + 1, BEGIN + 6, BEGIN + 8, BEGIN + 10]
    assert all((read.wallets, read.to_block) == ((FUNDER,), None) for read in scene.looks)


@pytest.mark.req("X-01")
def test_being_asked_does_not_make_it_look_twice_at_the_next_time() -> None:
    scene = Scene()
    scene.follow()
    scene.runtime.run_for(INTERVAL_MS // 2)
    scene.follow()
    looks = len(scene.looks)
    scene.interval()
    assert len(scene.looks) == looks + 1


@pytest.mark.req("X-01", "D-15")
def test_an_answer_that_stops_short_is_followed_up_at_once_and_passes_the_block_when_it_is_reached() -> None:
    scene = Scene()
    scene.venue.logs_at_once = 3
    scene.ahead(7)
    first, last = merged(scene.venue, "0xm1", SHARE), merged(scene.venue, "0xm2", SHARE)
    scene.follow(block_number=first.block_number)
    assert [read.from_block for read in scene.looks] == [BEGIN + 1, BEGIN + 4, BEGIN + 7]
    assert scene.told() == [first.transaction_hash, last.transaction_hash]
    assert scene.passed() == [("cycle", True, "")]


@pytest.mark.req("X-01", "X-02")
def test_a_block_is_passed_only_after_everything_up_to_it_was_handed_on() -> None:
    scene = Scene()
    scene.venue.logs_at_once = 1
    for number in range(3):
        merged(scene.venue, f"0xm{number}", SHARE)
    scene.follow()
    kinds = [type(message) for message in scene.listeners["main"].heard]
    assert kinds == [ChainFollowed] * 3 + [BlockPassed]


@pytest.mark.req("X-01")
def test_a_block_that_the_node_does_not_have_yet_is_looked_for_again_soon() -> None:
    scene = Scene()
    scene.ahead(3)
    scene.venue.logs_head = BEGIN + 2
    scene.follow()
    scene.runtime.run_for(AGAIN_MS)
    assert (len(scene.looks), scene.passed()) == (2, [])
    scene.venue.logs_head = None
    scene.runtime.run_for(AGAIN_MS)
    assert (len(scene.looks), scene.passed()) == (3, [("cycle", True, "")])
    scene.runtime.run_for(AGAIN_MS)
    assert len(scene.looks) == 3, "nobody waits any more"


@pytest.mark.req("X-01")
def test_who_asks_during_a_look_gets_one_of_their_own_right_after_it() -> None:
    scene = Scene()
    scene.venue.held.add(ReadLogs)
    scene.follow(cycle_id="first")
    merged(scene.venue, "0xm", SHARE)
    scene.follow(cycle_id="second")
    assert len(scene.looks) == 1
    scene.venue.release()
    scene.runtime.run_until_idle()
    assert len(scene.looks) == 2
    assert [(cycle, ok) for cycle, ok, _ in scene.passed()] == [("first", True), ("second", True)]
    assert scene.told() == ["0xm"]


@pytest.mark.req("X-01")
def test_of_two_cycles_of_a_wallet_the_later_one_is_waited_for() -> None:
    scene = Scene()
    scene.ahead(1)
    scene.venue.logs_head = BEGIN
    scene.follow(cycle_id="first")
    scene.follow(cycle_id="second")
    scene.venue.logs_head = None
    scene.interval()
    assert scene.passed() == [("second", True, "")]


# -- when it is not answered -------------------------------------------------------------------------------------------


@pytest.mark.req("X-01", "S-12", "R-05")
@pytest.mark.parametrize("how", ["failed", "partial"])
def test_a_read_that_may_not_be_believed_moves_nothing_and_the_next_one_comes_at_its_time(how: str) -> None:
    scene = Scene()
    if how == "failed":
        scene.venue.failing[ReadLogs] = FailureKind.TIMEOUT
    else:
        scene.venue.partial.add(ReadLogs)
    merged(scene.venue, "0xm", SHARE)
    scene.follow()
    reason = "timeout: scripted" if how == "failed" else "PARTIAL: scripted"
    assert (scene.told(), scene.passed()) == ([], [("cycle", False, reason)])
    assert (scene.board.chain.detail, scene.board.chain.followed) == (reason, None)
    scene.runtime.run_for(INTERVAL_MS - 1)
    assert len(scene.looks) == 1
    scene.venue.failing.clear()
    scene.venue.partial.clear()
    scene.runtime.run_for(1)
    assert [read.from_block for read in scene.looks] == [BEGIN + 1] * 2
    assert (scene.told(), len(scene.passed())) == (["0xm"], 1)
    assert (scene.board.chain.detail, scene.board.chain.followed) == ("", BEGIN + 1)


@pytest.mark.req("X-01")
def test_a_chain_that_cannot_be_followed_is_said_once() -> None:
    scene = Scene()
    scene.venue.failing[ReadLogs] = FailureKind.TIMEOUT
    with capture_logs() as logs:
        scene.follow()
        scene.interval(5)
    assert [entry["event"] for entry in logs] == ["chain_not_followed"]


@pytest.mark.req("X-01", "D-19")
def test_the_answer_to_a_life_that_crashed_is_not_taken_for_the_next_ones() -> None:
    scene = Scene()
    scene.ahead(10)
    transferred(scene.venue, "0xearly", "0xa-yes", SHARE)
    scene.ahead(10)
    scene.venue.held.add(ReadLogs)
    scene.follow(from_block=scene.venue.head)
    scene.crash()
    scene.follow(from_block=BEGIN + 1)
    scene.venue.release()
    scene.runtime.run_until_idle()
    assert scene.told() == ["0xearly"]
    assert [ok for _, ok, _ in scene.passed()] == [True]


# -- several wallets ---------------------------------------------------------------------------------------------------


@pytest.mark.req("X-01", "S-16")
def test_two_wallets_get_each_what_they_need_once() -> None:
    scene = Scene()
    for name in ("0x1", "0x2", "0x3"):
        transferred(scene.venue, name, "0xa-yes", SHARE)
    scene.follow(from_block=BEGIN + 3)
    scene.follow("other", address="0xffff", from_block=BEGIN + 2)
    transferred(scene.venue, "0x4", "0xa-yes", SHARE)
    scene.interval()
    assert (scene.told(), scene.told("other")) == (["0x3", "0x4"], ["0x2", "0x3", "0x4"])
    assert scene.looks[-1].wallets == (FUNDER, "0xffff")
    assert len(scene.passed()) == len(scene.passed("other")) == 1


@pytest.mark.req("X-01", "D-19", "L-17")
def test_a_wallet_that_asks_anew_gets_it_again_and_the_others_do_not() -> None:
    scene = Scene()
    scene.follow()
    scene.follow("other")
    placed(scene, "0x1", "0x2")
    scene.follow(anew=True)
    assert (scene.told(), scene.told("other")) == (["0x1", "0x2", "0x1", "0x2"], ["0x1", "0x2"])
    scene.follow()
    assert len(scene.told()) == 4, "not every time that it asks"


@pytest.mark.req("X-01", "D-19", "L-17")
def test_a_wallet_that_asks_anew_during_a_look_gets_all_that_is_before_it_too() -> None:
    scene = Scene()
    scene.follow()
    placed(scene, "0x1")
    scene.venue.held.add(ReadLogs)
    transferred(scene.venue, "0x2", "0xa-yes", SHARE)
    scene.interval()
    scene.follow(anew=True)
    scene.venue.release()
    scene.runtime.run_until_idle()
    assert scene.told() == ["0x1", "0x1", "0x2"]


@pytest.mark.req("X-01", "X-14")
def test_while_one_wallet_reads_anew_a_dropped_block_is_told_to_the_other() -> None:
    scene = Scene()
    scene.follow()
    scene.follow("other")
    placed(scene, "0x1", "0x2")
    second = scene.venue.head
    lost = reorganise(scene.venue, second)
    again(scene.venue, lost[0])
    scene.follow(anew=True)
    assert scene.told("other") == ["0x1", "0x2", f"-{second}", "0x2"]
    assert scene.told() == ["0x1", "0x2", f"-{second}", "0x1", "0x2"]


# -- showing -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("X-14")
def test_it_shows_where_the_chain_is_and_how_far_it_was_followed() -> None:
    scene = Scene()
    scene.ahead(8)
    scene.venue.logs_at_once, scene.venue.safe, scene.venue.finalized = 1_000, BEGIN + 4, BEGIN + 2
    scene.follow()
    shown = scene.board.chain
    assert (shown.head, shown.safe, shown.finalized, shown.followed) == (BEGIN + 8, BEGIN + 4, BEGIN + 2, BEGIN + 8)
    assert shown.at_ms == scene.clock.now_ms()
    state = scene.described()["state"]
    assert (state["cursor"], state["told"], state["shown"]["head"]) == (BEGIN + 8, {"main": BEGIN + 8}, BEGIN + 8)
    assert state["tail"] == [[BEGIN + 8, scene.venue.block_hash(BEGIN + 8)]]
