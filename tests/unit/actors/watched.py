"""A watcher, a scripted chain, and who is told: what the watcher's tests begin with."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.base import BaseActor, System
from actors.board import Board
from actors.pump import PumpRuntime, VirtualClock
from actors.runtime import Post
from actors.watching import ChainWatcher, WatchSettings
from messages.addresses import REPORTER, WATCHER, Address, coordinator_address
from messages.control import Answer, DescribeState
from messages.following import BlockPassed, ChainFollowed, FollowTo
from messages.reads import ReadLogs
from tests.support.onchain import transferred
from tests.support.venue import FUNDER, Venue
from tests.unit.actors.worlds import SHARE, Poison

INTERVAL_MS = 4_000
BEGIN = 100
"""The newest block when a scene begins."""


class Listener(BaseActor):
    """Remembers what it is told."""

    def __init__(self, address: Address, system: System) -> None:
        super().__init__(address, system)
        self.heard: list[Any] = []

    def take(self, message: object, now_ms: int) -> None:
        """Remember it."""
        del now_ms
        self.heard.append(message)


class Scene:
    """A watcher, a scripted chain, and who is told."""

    def __init__(self) -> None:
        self.clock = VirtualClock(1_746_792_000_000)
        self.runtime = PumpRuntime(self.clock)
        self.venue = Venue(clock=self.clock, block_number=BEGIN)
        self.venue.later = self.runtime.later
        self.board = Board()
        self.system = System(clock=self.clock, post=Post(), runtime=self.runtime)
        self.listeners = {name: self._listener(coordinator_address(name)) for name in ("main", "other")}
        self.reporter = self._listener(REPORTER)
        self.begin()

    def _listener(self, address: Address) -> Listener:
        found = Listener.start(address, self.system)._actor_weakref()
        assert isinstance(found, Listener)
        return found

    def begin(self) -> None:
        """A life of the watcher."""
        ChainWatcher.start(self.system, WatchSettings(interval_ms=INTERVAL_MS), (self.venue, self.board))

    def crash(self) -> None:
        """The watcher dies, and another one begins."""
        self.system.post.tell(WATCHER, Poison())
        self.runtime.run_until_idle()
        self.begin()

    def follow(self, wallet: str = "main", **changed: Any) -> None:
        """Ask for everything up to a cycle's block, the head where nothing else is said; all take their mail."""
        number = changed.pop("block_number", self.venue.head)
        values: dict[str, Any] = {
            "wallet": wallet,
            "address": FUNDER,
            "reply_to": coordinator_address(wallet),
            "cycle_id": "cycle",
            "from_block": BEGIN + 1,
            "block_number": number,
            "block_hash": self.venue.block_hash(number),
        }
        self.system.post.tell(WATCHER, FollowTo(**{**values, **changed}))
        self.runtime.run_until_idle()

    def interval(self, count: int = 1) -> None:
        """So many looks' time passes."""
        self.runtime.run_for(count * INTERVAL_MS)

    def ahead(self, blocks: int) -> None:
        """Blocks with nothing of ours."""
        self.venue.head_number = self.venue.head + blocks

    @property
    def looks(self) -> list[ReadLogs]:
        """What was asked of the node."""
        return [read for read in self.venue.asked if isinstance(read, ReadLogs)]

    def told(self, wallet: str = "main") -> list[str]:
        """What a wallet was told, in order: names of transactions, dropped blocks with a minus."""
        found = [message for message in self.listeners[wallet].heard if isinstance(message, ChainFollowed)]
        return [
            name
            for message in found
            for name in (
                *(f"-{block.block_number}" for block in message.dropped),
                *(one.transaction_hash for one in message.transactions),
            )
        ]

    def passed(self, wallet: str = "main") -> list[tuple[str, bool, str]]:
        """Which cycles were told that their block is passed, whether it was, and why not."""
        found = [message for message in self.listeners[wallet].heard if isinstance(message, BlockPassed)]
        return [(one.cycle_id, one.certificate is not None, one.detail) for one in found]

    def described(self) -> dict[str, Any]:
        """The watcher's state as it tells it."""
        self.system.post.tell(WATCHER, DescribeState(request_id="dump"))
        self.runtime.run_until_idle()
        answer = next(message for message in reversed(self.reporter.heard) if isinstance(message, Answer))
        assert (answer.ok, answer.detail) == (True, WATCHER)
        return dict(msgspec.json.decode(answer.body))


def placed(scene: Scene, *names: str) -> None:
    """A block with a transaction of each name, one after the other; each was looked at."""
    for name in names:
        transferred(scene.venue, name, "0xa-yes", SHARE)
        scene.interval()
