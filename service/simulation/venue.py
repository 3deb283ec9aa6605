"""The sandbox without a socket: requests in, answers out, on virtual time; and its user channel.

Every request goes through the sandbox's own gate of faults and its own application, as one from the network would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import greenlet

from polymarket.requests import HttpRequest
from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import AnyAction
from polymarket.sandbox.application import Apis, play
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.server_faults import Fault, FaultGate
from polymarket.sandbox.server_request import Answer, Arguments, Request
from polymarket.sandbox.server_state import Sandbox
from polymarket.sandbox.server_stream import Listener, Selection
from polymarket.sandbox.world import World
from service.simulation.timeline import Timeline

BASE_URL = "http://sandbox"
_MS_PER_S = 1000

Answered = Callable[[Answer | None], None]
"""Told the answer, or None where the connection broke without one."""

Hang = Callable[[], None]


class Venue:
    """The world and everything in front of it."""

    def __init__(self, world: WorldOptions, server: ServerOptions, timeline: Timeline) -> None:
        """Its present is the timeline's."""
        self._timeline = timeline
        self.sandbox = Sandbox(world, server, timeline.clock.now_ms)
        self.sandbox.base_url = BASE_URL
        self._feed = self.sandbox.world.feed
        self._told = self._feed.number
        self._listeners: dict[Hang, Listener] = {}
        self.played: list[Fault] = []
        self._gate = FaultGate(Apis(self.sandbox, self.flush), self.sandbox.board, 0, self._sleep)

    @property
    def world(self) -> World:
        """The sandbox's own books, for the oracle."""
        return self.sandbox.world

    def answer(self, request: HttpRequest, headers: Mapping[str, str], answered: Answered) -> None:
        """Answer a request, now or, where a fault lets it wait, later."""
        asked = _asked(request, headers)
        if any(fault.spec.kind == "slow" for fault in self.sandbox.board.playing()):
            greenlet.greenlet(self._serve).switch(asked, answered)
        else:
            self._serve(asked, answered)

    def act(self, action: AnyAction) -> dict[str, Any]:
        """Let something happen, and tell it on the user channel."""
        self.sandbox.present()
        try:
            return act(self.world, action)
        finally:
            self.flush()

    def tick(self) -> None:
        """Bring the world to the present."""
        self.sandbox.present()
        self.flush()

    def play(self, spec: FaultSpec) -> Fault:
        """Begin to play a fault; those that listen meet one of connections at once."""
        fault = play(self.sandbox, spec)
        self.played.append(fault)
        if fault.spec.target in {"ws", "all"} and fault.spec.kind in {"ws_cut", "ws_close", "down"}:
            for hang_up in list(self._listeners):
                fault.hit()
                hang_up()
        if fault.spec.kind == "ws_close":
            self.sandbox.board.end(fault)
        return fault

    # -- the user channel ---------------------------------------------------------------------------------------------

    def listen(self, send: Callable[[str], None], hang_up: Hang) -> bool:
        """From here on tell the wallet's strategy what happens; False where the channel takes nobody."""
        for kind in ("ws_cut", "down"):
            fault = self.sandbox.board.met(kind, "ws", "user")
            if fault is not None:
                fault.hit()
                return False
        self.tick()
        owner = self.world.wallet.strategy.owner
        self._listeners[hang_up] = Listener(owner, Selection(None), self.sandbox.board, send, self._later)
        return True

    def leave(self, hang_up: Hang) -> None:
        """Tell that one nothing more."""
        self._listeners.pop(hang_up, None)

    def forget(self) -> None:
        """The process that listened is gone."""
        self._listeners.clear()

    def flush(self) -> None:
        """Tell what happened since the last time to everybody who listens."""
        fresh, self._told = self._feed.since(self._told), self._feed.number
        for listener in self._listeners.values():
            listener.release()
            for bulletin in fresh:
                listener.tell(bulletin)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _serve(self, request: Request, answered: Answered) -> None:
        try:
            answer = self._gate(request)
        except BrokenPipeError:
            answered(None)
            return
        answered(answer)

    def _sleep(self, seconds: float) -> None:
        """Let virtual time go by in the middle of a request."""
        waiting = greenlet.getcurrent()
        resume = greenlet.getcurrent().parent

        def go_on() -> None:
            waiting.parent = greenlet.getcurrent()
            waiting.switch()

        self._timeline.later(round(seconds * _MS_PER_S), go_on)
        if resume is not None:
            resume.switch()

    def _later(self, seconds: float, action: Callable[..., None], *arguments: Any) -> None:
        self._timeline.later(round(seconds * _MS_PER_S), lambda: action(*arguments))


def _asked(request: HttpRequest, headers: Mapping[str, str]) -> Request:
    """The request as it arrives there."""
    url = urlsplit(request.url)
    return Request(
        method=request.method,
        path=url.path,
        args=Arguments([*parse_qsl(url.query, keep_blank_values=True), *request.params]),
        headers={name.upper().replace("-", "_"): value for name, value in headers.items()},
        body=request.body,
    )


__all__ = ["BASE_URL", "Answer", "Answered", "Venue"]
