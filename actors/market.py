"""The MarketActor: the only owner of one market's orders, positions, fills, cost and P&L (D-01). It never asks."""

from __future__ import annotations

import msgspec

from actors.base import DecidingActor, System
from messages.addresses import REPORTER, Address, coordinator_address
from messages.codec import kind_of_event
from messages.control import Answer, DescribeState, ResumeMarket
from messages.cycle import ImageTaken, SnapshotAsked, ViewApplied
from portfolio.events import EventRejected, FillSeen, MarketDefined, MarketEvent, MarketResumed
from portfolio.images import image_of
from portfolio.market import Step, transition
from portfolio.state import MarketState, digest
from portfolio.views import ExternalView, MarketImage


class MarketActor(DecidingActor):
    """Mailbox → transition → effects."""

    def __init__(self, address: Address, system: System, state: MarketState) -> None:
        super().__init__(address, system)
        self._state = state
        self._image = image_of(state)

    def take(self, message: object, now_ms: int) -> None:
        """Apply events; answer snapshots from the published image."""
        match message:
            case SnapshotAsked():
                self.tell(message.reply_to, ImageTaken(cycle_id=message.cycle_id, image=self._present()))
            case ExternalView():
                step = self._apply(message, now_ms)
                self._answer_view(message, step)
            case FillSeen() | MarketDefined():
                self._apply(message, now_ms)
            case ResumeMarket():
                self._resume(message, now_ms)
            case DescribeState():
                self._describe(message)
            case _:
                super().take(message, now_ms)

    def _apply(self, event: MarketEvent, now_ms: int, then: tuple[tuple[Address, object], ...] = ()) -> Step:
        """Run the transition; one that raises leaves the books as they were and halts the market (D-19)."""
        try:
            step = transition(self._state, event, now_ms)
        except Exception as error:
            self.log.exception("event_rejected", kind=kind_of_event(event))
            event = EventRejected(kind=kind_of_event(event), detail=f"{type(error).__name__}: {error}")
            step = transition(self._state, event, now_ms)
        if step.state is not self._state or step.rows:
            self.submit(event, step.state.version, step.rows, then)
            self._state = step.state
        return step

    def _present(self) -> MarketImage:
        """The image of the present state (D-10), made when it is asked for: a thousand fills between need none."""
        if self._image.version != self._state.version:
            self._image = image_of(self._state)
        return self._image

    def _answer_view(self, view: ExternalView, step: Step) -> None:
        coordinator = coordinator_address(self._state.wallet)
        self.tell(coordinator, ViewApplied(cycle_id=view.cycle_id, result=step.result, image=self._present()))

    def _resume(self, command: ResumeMarket, now_ms: int) -> None:
        event = MarketResumed(operator=command.operator, reason=command.reason)
        done = Answer(request_id=command.request_id, ok=True, detail=f"market {command.market_id} was resumed")
        step = self._apply(event, now_ms, then=((REPORTER, done),))
        if step.refused:
            self.tell(REPORTER, Answer(request_id=command.request_id, ok=False, detail=step.refused))

    def _describe(self, command: DescribeState) -> None:
        body = msgspec.json.encode({"address": self.address, "digest": digest(self._state), "state": self._state})
        self.tell(REPORTER, Answer(request_id=command.request_id, ok=True, detail=self.address, body=body))
