"""The StrategyGate: paused strategies, the kill switch, the trade gate of one wallet (S-05…S-07, R-14, R-28)."""

from __future__ import annotations

from actors.base import DecidingActor, System
from actors.board import Board, GateShown
from messages.addresses import REPORTER, Address, coordinator_address
from messages.control import Answer, DescribeState, PauseStrategy, ResumeStrategy, SetKillSwitch
from messages.cycle import CycleJudged, PausesKnown
from portfolio.events import DriftFound, GateConfigured, GateEvent, KillSwitchSet, StrategyPauseAsked, StrategyResumed
from portfolio.gate import GateState, transition


class StrategyGate(DecidingActor):
    """One per wallet."""

    def __init__(self, address: Address, system: System, state: GateState, board: Board) -> None:
        super().__init__(address, system)
        self._state = state
        self._board = board
        board.gate[state.wallet] = GateShown(state=state)

    def take(self, message: object, now_ms: int) -> None:
        """Judge drifts, obey commands."""
        match message:
            case CycleJudged():
                for drift in message.drifts:
                    self._apply(drift, now_ms)
                paused = tuple(sorted(self._state.paused))
                known = PausesKnown(cycle_id=message.cycle_id, paused=paused)
                self.tell(coordinator_address(self._state.wallet), known)
            case GateConfigured() | DriftFound():
                self._apply(message, now_ms)
            case PauseStrategy() | ResumeStrategy() | SetKillSwitch():
                self._command(message, now_ms)
            case DescribeState():
                body = self.described(self._state)
                self.tell(REPORTER, Answer(request_id=message.request_id, ok=True, detail=self.address, body=body))
            case _:
                super().take(message, now_ms)

    def _command(self, command: PauseStrategy | ResumeStrategy | SetKillSwitch, now_ms: int) -> None:
        event, done = event_of(command)
        answer = Answer(request_id=command.request_id, ok=True, detail=done)
        refused = self._apply(event, now_ms, answer)
        if refused:
            self.tell(REPORTER, Answer(request_id=command.request_id, ok=False, detail=refused))

    def _apply(self, event: GateEvent, now_ms: int, answer: Answer | None = None) -> str:
        """Run the transition; the answer waits for durability. Returns the reason of a refusal."""
        step = transition(self._state, event, now_ms)
        if step.refused:
            return step.refused
        then = ((REPORTER, answer),) if answer is not None else ()
        if step.state is not self._state or step.rows:
            self.submit(event, step.state.version, step.rows, then)
            self._state = step.state
            self._board.gate[self._state.wallet] = GateShown(state=self._state)
        return ""


def event_of(command: PauseStrategy | ResumeStrategy | SetKillSwitch) -> tuple[GateEvent, str]:
    """The journaled event that a command becomes, and the sentence that confirms it."""
    match command:
        case PauseStrategy():
            event: GateEvent = StrategyPauseAsked(
                strategy_id=command.strategy_id, operator=command.operator, reason=command.reason
            )
            return event, f"strategy {command.strategy_id} is paused"
        case ResumeStrategy():
            event = StrategyResumed(strategy_id=command.strategy_id, operator=command.operator, reason=command.reason)
            return event, f"strategy {command.strategy_id} was resumed"
        case SetKillSwitch():
            event = KillSwitchSet(active=command.active, operator=command.operator, reason=command.reason)
            return event, f"the kill switch is {'on' if command.active else 'off'}"
