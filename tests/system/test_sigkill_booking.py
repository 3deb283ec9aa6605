"""kill -9 of the service on every step of a fill's way to the disk, while the wallet trades (L-01, L-02, L-17, D-21).

After the last restart and what it brings in, each fill is there once, and positions, cost, realised profit and loss,
fees and orders are the sandbox's to the base unit. ``test_sigkill`` does the same in every phase of a cycle.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from polymarket.sandbox.control import SandboxControlError
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from service.client import NotRunning
from storage.database import open_readonly
from storage.queries import Queries
from tests.support.live import LiveService, LiveSettings, until
from tests.system.following import BLOCK_MS, Following
from tests.system.intake import Intake, Step
from tests.system.watching import AlertReceiver, Watch

EACH, KILLS_MAX = 6, 60
STRIKE_WITHIN_S = 8.0
MARKETS = (0, 1)
PLENTY = 50_000_000
"""Shares, in 1e-6."""


class Killer:
    """Lets a service live until a fill has come as far as wanted, and kills it there."""

    def __init__(self, followed: Following, receiver: AlertReceiver) -> None:
        self._followed = followed
        self._receiver = receiver
        self._random = random.Random(11)
        self._numbers = itertools.count()
        self.hit: Counter[Step] = Counter()
        self.trades: list[str] = []

    def strike(self) -> None:
        """Start it; kill it on the step that was hit least, or beyond it where that was too quick."""
        wanted = min(Step, key=lambda step: self.hit[step])
        service, number = self._followed.service, next(self._numbers)
        service.start()
        until(self._subscribed, "a subscription of the user stream")
        intake = Intake(service, Watch(service, self._followed.control, self._receiver))
        intake.begin()
        self.trades.append(until(lambda: self._trade(number), "a fill"))
        intake.arrives()
        self.hit[intake.go_to(wanted, self.trades[-1], linger=number % 4, within_s=STRIKE_WITHIN_S)] += 1
        service.kill()

    def _subscribed(self) -> bool:
        self._followed.service.require_running()
        with contextlib.suppress(NotRunning):
            return self._followed.connected()
        return False

    def _place(self, number: int) -> str:
        """An order that rests; now and then for shares that the wallet holds, so that there is profit and loss."""
        if number % 3 < 2:
            return str(self._followed.place(MARKETS[number % len(MARKETS)], "9")["order_id"])
        held = {row["token_id"]: row["settled_micro"] for row in self._followed.control.books()["positions"]}
        market, outcome = next(
            (market, outcome)
            for market, row in enumerate(self._followed.markets)
            for outcome, token in enumerate(row["tokens"])
            if held.get(token, 0) > PLENTY
        )
        return str(self._followed.place(market, "9", side="SELL", outcome=outcome)["order_id"])

    def _trade(self, number: int) -> str:
        """Part of an order fills at once; some trades need a second transaction, some fail.

        Empty where somebody else was quicker to fill or to cancel the order.
        """
        size = f"{self._random.randrange(1, 5)}.{self._random.randrange(1_000_000):06d}"
        fate = {"fail": number % 7 == 0, "retries": int(number % 5 == 0), "delay_blocks": number % 3}
        with contextlib.suppress(SandboxControlError):
            return self._followed.fill(self._place(number), size, cross=number % 4 == 0, **fate)
        return ""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Following, Killer]]:
    """Thirty kills, a last restart, and rest."""
    world = WorldOptions(seed=31, block_time_ms=BLOCK_MS, finality_blocks=2, retry_percent=10, fail_percent=10)
    receiver = AlertReceiver()
    with SandboxProcess(world) as sandbox:
        sandbox.control.pause()
        service = LiveService(tmp_path_factory.mktemp("booking"), sandbox.info, LiveSettings(sync_interval_s=1))
        try:
            service.start().ready()
            followed = Following(sandbox, service)
            killer = Killer(followed, receiver)
            sandbox.control.resume()
            service.kill()
            while min(killer.hit[step] for step in Step) < EACH and killer.hit.total() < KILLS_MAX:
                killer.strike()
            sandbox.control.pause()
            service.start().ready()
            followed.wait_connected()
            yield followed, killer
        finally:
            service.close()
            receiver.close()


@pytest.mark.req("L-02", "L-30", "D-18", "D-21")
def test_every_step_of_a_fills_way_was_cut(killed: tuple[Following, Killer]) -> None:
    _, killer = killed
    assert min(killer.hit[step] for step in Step) >= EACH, killer.hit


@pytest.mark.req("L-01", "L-02", "L-10", "L-17", "L-19", "R-13", "S-20")
def test_the_books_are_the_sandboxs_with_each_fill_once(killed: tuple[Following, Killer]) -> None:
    followed, killer = killed
    followed.agree()
    booked = Counter(trade for trade, _ in followed.fills())
    assert {trade: booked[trade] for trade in killer.trades} == dict.fromkeys(killer.trades, 1)


@pytest.mark.req("L-13", "L-17")
def test_what_happened_while_it_was_dead_was_booked_from_trades_and_not_from_drift(
    killed: tuple[Following, Killer],
) -> None:
    followed, _ = killed
    database = open_readonly(followed.service.storage_url)
    try:
        causes = {row["cause"] for row in Queries(database).adjustments()}
    finally:
        database.close()
    assert causes <= {"OPENING", "RESTATED", "REINSTATED"}


@pytest.mark.req("X-12", "L-20", "D-17", "D-20")
def test_the_journal_gives_the_stored_state(killed: tuple[Following, Killer]) -> None:
    followed, _ = killed
    document = followed.service.json_of("replay")
    assert (document["equal"], document["chain_broken_at"]) == (True, None)
    assert document["stored_digest"] is not None
