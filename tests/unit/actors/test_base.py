"""The base of all actors: stamps, contained time-outs, crash reports, addresses."""

from __future__ import annotations

import gevent
import pytest

from actors.base import BaseActor, Crashed, Ping
from messages.addresses import SUPERVISOR, Address
from tests.support.probes import START_MS, Small, alive


class Fragile(BaseActor):
    """Does what its mail says."""

    settled = 0

    def take(self, message: object, now_ms: int) -> None:
        """Leak, fail, or pass on."""
        match message:
            case "leak":
                raise gevent.Timeout(5)
            case "fail":
                raise ValueError("broken")
            case str():
                self.tell(Address("probe"), message)
            case _:
                super().take(message, now_ms)

    def settle(self) -> None:
        """Count."""
        self.settled += 1


@pytest.mark.req("D-20")
def test_stamps_never_go_back_though_the_clock_does() -> None:
    small = Small()
    probe = small.probe("probe")
    for at_ms in (START_MS + 5, START_MS + 3, START_MS + 9):
        small.clock._now_ms = at_ms
        small.tell("probe", at_ms)
    assert probe.stamps == [START_MS + 5, START_MS + 5, START_MS + 9]


@pytest.mark.parametrize(
    ("mail", "detail"),
    [
        ("leak", "RuntimeError: a time-out leaked out of the handling of str: 5 seconds"),
        ("fail", "ValueError: broken"),
        (7, f"TypeError: Fragile does not take int at {START_MS}"),
    ],
)
def test_a_crash_is_reported_and_stops_nobody_else(mail: object, detail: str) -> None:
    """A leaked ``gevent.Timeout`` is no ordinary exception: unhandled it would stop every actor of the process."""
    small = Small()
    supervisor, probe = small.probe(SUPERVISOR), small.probe("probe")
    Fragile.start(Address("fragile"), small.system)
    small.tell("fragile", "before", mail, "lost with its mailbox")
    assert supervisor.taken == [Crashed(address=Address("fragile"), detail=detail)]
    assert probe.taken == ["before"]
    small.tell("probe", "still here")
    assert probe.taken == ["before", "still here"]


def test_mail_to_the_dead_and_to_nobody_is_counted_and_raised_into_no_sender() -> None:
    small = Small()
    small.probe(SUPERVISOR)
    Fragile.start(Address("fragile"), small.system)
    small.tell("fragile", "fail")
    assert small.post.knows(Address("fragile")), "the address stays taken until the supervisor decides"
    small.tell("fragile", "to the dead")
    small.tell("nobody", "to nobody")
    assert small.post.undelivered == 2


def test_a_ping_lets_an_actor_do_what_it_put_off_and_is_no_message() -> None:
    small = Small()
    fragile = alive(Fragile.start(Address("fragile"), small.system))
    small.tell("fragile", Ping())
    assert fragile.settled == 1


def test_a_message_to_oneself_after_a_delay_can_be_taken_back() -> None:
    small = Small()
    probe = small.probe("probe")
    probe.later(1_000, "first")
    cancel = probe.later(2_000, "second")
    cancel()
    small.runtime.run_for(5_000)
    assert probe.taken == ["first"]
    assert probe.stamps == [START_MS + 1_000]
