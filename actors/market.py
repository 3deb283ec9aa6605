"""The MarketActor: the only owner of one market's orders, positions, fills, cost and P&L (D-01). It never asks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.base import DecidingActor, Submit, System
from actors.writer import Barrier
from messages.addresses import REPORTER, WRITER, Address, coordinator_address
from messages.codec import kind_of_event
from messages.control import Answer, DescribeState, MarkExternal, RecordTrade, ResumeMarket
from messages.cycle import ImageTaken, SnapshotAsked, ViewApplied
from messages.feeding import Counted, Marker, MarkerDurable, Seen, SeenTogether
from messages.ledger import Decision
from portfolio.events import (
    ChainDropped,
    ChainSeen,
    EntryMarked,
    EventRejected,
    FillChecked,
    FillSeen,
    MarketDefined,
    MarketEvent,
    MarketResumed,
    OrderChecked,
    OrderSeen,
    TradeRecorded,
)
from portfolio.images import image_of
from portfolio.market import Step, transition
from portfolio.state import MarketState
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
            case (
                FillSeen()
                | OrderSeen()
                | FillChecked()
                | OrderChecked()
                | MarketDefined()
                | ChainSeen()
                | ChainDropped()
            ):
                self._apply(message, now_ms)
            case SeenTogether():
                self._apply_all(message.events, now_ms)
            case SnapshotAsked():
                self.tell(message.reply_to, ImageTaken(cycle_id=message.cycle_id, image=self._present()))
            case ExternalView():
                step = self._apply(message, now_ms)
                self._answer_view(message, step)
            case Marker():
                durable = MarkerDurable(market=self.address, chunk=message.chunk)
                self.tell(WRITER, Barrier(then=((message.reply_to, durable),)))
            case ResumeMarket() | RecordTrade() | MarkExternal():
                self._obey(message, now_ms)
            case DescribeState():
                self._describe(message)
            case _:
                super().take(message, now_ms)

    def _apply(self, event: MarketEvent, now_ms: int, then: tuple[tuple[Address, object], ...] = ()) -> Step:
        """Run the transition, submit what it decided, and then tell what is only counted."""
        step, decisions = self._decided(event, now_ms)
        if decisions:
            # Nobody is told that what was rejected was done.
            self.tell(WRITER, Submit(decisions=decisions, then=() if step.refused else then))
        if step.counted:
            self.tell(REPORTER, Counted(names=step.counted))
        return step

    def _apply_all(self, events: Sequence[Seen], now_ms: int) -> None:
        """One after the other, each a transition and a decision of its own (D-19); to the writer go all at once."""
        decisions: list[Decision] = []
        counted: list[str] = []
        for event in events:
            step, decided = self._decided(event, now_ms)
            decisions += decided
            counted += step.counted
            self.handled_one()
        if decisions:
            self.tell(WRITER, Submit(decisions=tuple(decisions)))
        if counted:
            self.tell(REPORTER, Counted(names=tuple(counted)))

    def _decided(self, event: MarketEvent, now_ms: int) -> tuple[Step, tuple[Decision, ...]]:
        """The step, and its decision if it has one; a step that raises changes no book and halts the market (D-19)."""
        try:
            step = transition(self._state, event, now_ms)
        except Exception as error:
            self.log.exception("event_rejected", kind=kind_of_event(event))
            event = EventRejected(kind=kind_of_event(event), detail=f"{type(error).__name__}: {error}")
            step = msgspec.structs.replace(transition(self._state, event, now_ms), refused=event.detail)
        if step.state is self._state and not step.rows:
            return step, ()
        decision = self.decision(event, step.state.version, step.rows)
        self._state = step.state
        return step, (decision,)

    def _present(self) -> MarketImage:
        """The image of the present state (D-10), made when it is asked for: a thousand fills between need none."""
        if self._image.version != self._state.version:
            self._image = image_of(self._state)
        return self._image

    def _answer_view(self, view: ExternalView, step: Step) -> None:
        coordinator = coordinator_address(self._state.wallet)
        self.tell(coordinator, ViewApplied(cycle_id=view.cycle_id, result=step.result, image=self._present()))

    def _obey(self, command: ResumeMarket | RecordTrade | MarkExternal, now_ms: int) -> None:
        event, done = self._ordered(command, now_ms)
        answer = Answer(request_id=command.request_id, ok=True, detail=done)
        step = self._apply(event, now_ms, then=((REPORTER, answer),))
        if step.refused:
            self.tell(REPORTER, Answer(request_id=command.request_id, ok=False, detail=step.refused))

    def _ordered(self, command: ResumeMarket | RecordTrade | MarkExternal, now_ms: int) -> tuple[MarketEvent, str]:
        """The event that an operator's command is, and what to answer once it is durable."""
        match command:
            case RecordTrade():
                entry_id = f"manual:{now_ms}:{self._state.version + 1}"
                recorded = TradeRecorded(
                    entry_id=entry_id,
                    token_id=command.token_id,
                    side=command.side,
                    size_micro=command.size_micro,
                    price_micro=command.price_micro,
                    operator=command.operator,
                    reason=command.reason,
                )
                return recorded, entry_id
            case MarkExternal():
                marked = EntryMarked(
                    entry_id=command.entry_id,
                    price_micro=command.price_micro,
                    operator=command.operator,
                    reason=command.reason,
                )
                return marked, f"{command.entry_id}:external"
            case _:
                resumed = MarketResumed(operator=command.operator, reason=command.reason)
                return resumed, f"market {command.market_id} was resumed"

    def _describe(self, command: DescribeState) -> None:
        body = self.described(self._state)
        self.tell(REPORTER, Answer(request_id=command.request_id, ok=True, detail=self.address, body=body))
