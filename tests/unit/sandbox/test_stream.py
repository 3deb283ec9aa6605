"""What one listener is sent, without a network: its selection, and faults that need a precise moment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import Place
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.server_faults import FaultBoard
from polymarket.sandbox.server_stream import Listener, Selection
from polymarket.sandbox.trading import BUY
from polymarket.sandbox.world import World
from tests.unit.sandbox.worlds import world

pytestmark = pytest.mark.req("X-07")

ONE, OTHER = "0xaa", "0xbb"
DEADLINE_S = 60


def until(look: Callable[[], bool]) -> None:
    """Let the loop run until that is so."""
    deadline = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < deadline
        gevent.sleep(0)


class Heard:
    """A listener of the strategy in a quiet world, and every frame that it was sent."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.seconds = 0.0
        self.here: World = world()
        self.board = FaultBoard(lambda: self.seconds)
        owner = self.here.wallet.strategy.owner
        self.listener = Listener(owner, Selection(None), self.board, lambda text: self.frames.append(json.loads(text)))

    def place(self) -> str:
        """Something to be told."""
        start = self.here.feed.number
        token = self.here.directory.markets[4].tokens[0]
        made = act(self.here, Place(token_id=token, side=BUY, price="0.01", size="20"))
        for bulletin in self.here.feed.since(start):
            self.listener.tell(bulletin)
        return str(made["order_id"])

    @property
    def ids(self) -> list[str]:
        return [frame["id"] for frame in self.frames]


def test_what_was_delayed_into_a_freeze_is_lost() -> None:
    heard = Heard()
    heard.board.add(FaultSpec(target="ws", kind="ws_delay", latency_ms=0))
    heard.place()
    frozen = heard.board.add(FaultSpec(target="ws", kind="ws_freeze"))
    until(lambda: frozen.hits == 1)
    assert heard.frames == []


def test_an_event_is_held_back_until_another_comes_or_the_faults_time_is_up() -> None:
    heard = Heard()
    heard.board.add(FaultSpec(target="ws", kind="ws_reorder", seconds=10))
    first, second = heard.place(), heard.place()
    assert heard.ids == [second, first]
    third = heard.place()
    heard.listener.release()
    assert heard.ids == [second, first]
    heard.seconds = 10
    heard.listener.release()
    assert heard.ids == [second, first, third]


def takes(selection: Selection) -> list[bool]:
    """Whether an order and a trade of one market, and the same of another, are taken."""
    return [selection.takes(market, is_trade=is_trade) for market in (ONE, OTHER) for is_trade in (False, True)]


def test_without_a_list_everything_is_taken_and_stays_so() -> None:
    selection = Selection(None)
    selection.add([ONE])
    selection.remove([ONE])
    assert takes(selection) == [True, True, True, True]


def test_an_empty_list_takes_orders_only_until_a_market_is_named() -> None:
    selection = Selection([])
    assert takes(selection) == [True, False, True, False]
    selection.add(["0xAA"])
    assert takes(selection) == [True, True, False, False]


def test_a_list_can_grow_and_shrink_to_nothing() -> None:
    selection = Selection(["0xAA"])
    assert takes(selection) == [True, True, False, False]
    selection.add([OTHER])
    selection.remove(["0xAA"])
    assert takes(selection) == [False, False, True, True]
    selection.remove([OTHER])
    assert takes(selection) == [False, False, False, False]
