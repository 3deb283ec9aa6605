"""The Supervisor: restarts what crashed, at most so often, then quarantines it and pages (D-19, L-12).

A crashed market's books are on disk; it comes back from its journal. A broken stream is different: memory is ahead of
the disk, so the whole process stops and starts again from disk (D-18).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from actors.base import BaseActor, Crashed, System
from actors.board import Board
from actors.ingest import MarketRestarted
from actors.ports import AlertSink
from actors.writer import StreamBroken
from messages.addresses import SUPERVISOR, WRITER, Address, ingest_address, kind_of, market_of, wallet_of
from portfolio.outcomes import Alert, Severity
from portfolio.reasons import REASONS, ReasonCode

RESTARTS_MAX = 5
WINDOW_MS = 60_000
"""More crashes of one actor than this within the window, and it is quarantined."""


class Escalate(msgspec.Struct, frozen=True, kw_only=True):
    """Why the process has to stop; wiring turns it into the exit code 1."""

    detail: str


class Supervisor(BaseActor):
    """Keeps the others alive. Started first, stopped last."""

    def __init__(
        self,
        system: System,
        restart: Callable[[Address], None],
        escalate: Callable[[Escalate], None],
        board: Board,
        sink: AlertSink,
    ) -> None:
        super().__init__(SUPERVISOR, system)
        self._restart = restart
        self._escalate = escalate
        self._board = board
        self._sink = sink
        self._crashes: dict[Address, deque[int]] = {}

    def take(self, message: object, now_ms: int) -> None:
        """Restart, quarantine, or escalate."""
        match message:
            case Crashed():
                self._crashed(message, now_ms)
            case StreamBroken():
                self.log.error("stream_broken", detail=message.detail)
                self._escalate(Escalate(detail=message.detail))
            case _:
                super().take(message, now_ms)

    def _crashed(self, message: Crashed, now_ms: int) -> None:
        crashes = self._crashes.setdefault(message.address, deque())
        crashes.append(now_ms)
        while crashes and crashes[0] <= now_ms - WINDOW_MS:
            crashes.popleft()
        if message.address == WRITER:
            # What it had gathered is lost, so memory is ahead of the disk (D-18).
            self._escalate(Escalate(detail=f"the writer crashed: {message.detail}"))
        elif len(crashes) <= RESTARTS_MAX:
            self.log.warning("restarting", crashed=message.address, detail=message.detail, crashes=len(crashes))
            self._restart(message.address)
            if kind_of(message.address) == "market":
                self.tell(ingest_address(wallet_of(message.address)), MarketRestarted())
        elif kind_of(message.address) == "market":
            self._quarantine(message, now_ms)
        else:
            detail = f"{message.address} crashed {len(crashes)} times within {WINDOW_MS} ms: {message.detail}"
            self._escalate(Escalate(detail=detail))

    def _quarantine(self, message: Crashed, now_ms: int) -> None:
        """The market stays down, its strategies may not trade, and a person is called."""
        market_id = market_of(message.address)
        self.system.post.unregister(message.address)
        self._board.quarantined = tuple(sorted({*self._board.quarantined, market_id}))
        code = ReasonCode.PORTFOLIO_SYNC_MARKET_HALTED
        text = f"market {market_id} crashed {RESTARTS_MAX + 1} times and is quarantined: {message.detail}"
        alert = Alert(
            wallet=wallet_of(message.address),
            key=f"quarantine:{message.address}:{now_ms}",
            code=code.value,
            severity=Severity.WARN,
            route=REASONS[code].route.value,
            market_id=market_id,
            text=text,
            at_ms=now_ms,
        )
        self._sink.send(alert)
