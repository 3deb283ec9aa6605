"""The SyncCoordinator: one cycle at a time; who must answer, by when (S-01, S-02, D-09, D-11).

It gathers by messages and decides nothing about a market's numbers. When cycles begin and end is here; what each stage
of a cycle asks is in ``stages``, what the answers mean in ``learning``.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.base import System
from actors.board import Board, Ended, shown_after
from actors.directory import NEED_PREFIX, Ensure
from actors.gathering import Cycle
from actors.learning import LearningStages
from actors.ports import ExternalReads
from actors.stages import CoordinatorSettings
from messages.addresses import REPORTER, WATCHER, Address, ingest_address
from messages.control import Answer, DescribeState
from messages.cycle import (
    CycleDeadline,
    CycleDurable,
    ImageTaken,
    MarketsKnown,
    MarketsNeeded,
    PausesKnown,
    PollDone,
    SyncAsked,
    Tick,
    ViewApplied,
)
from messages.feeding import WalletOpened
from messages.following import BlockPassed, ChainFollowed, LogsOverdue
from messages.reads import (
    ReadCompleted,
    ReadFailed,
)
from portfolio.events import CycleClosed, WalletDefined
from portfolio.wallet import WalletState

EXTRA_CYCLE_MS = 1_000
"""At most one extra cycle a second (R-34)."""

EXTRA = frozenset({"fill", "stream"})
"""Why an extra cycle is wanted: fills, or a new subscription of the user stream."""


class SyncCoordinator(LearningStages):
    """One per wallet."""

    def __init__(
        self,
        address: Address,
        system: System,
        state: WalletState,
        settings: CoordinatorSettings,
        outside: tuple[ExternalReads, Board, Ensure],
    ) -> None:
        super().__init__(address, system, state, settings, outside)
        self._next: SyncAsked | None = None
        self._waiting: list[str] = []
        self._queued: list[str] = []
        self._cancel_tick: Callable[[], None] | None = None
        self._extra = False
        self._started_at_ms = 0
        self._told_opened = state.opened

    def on_start(self) -> None:
        """Tell the ingest what is known, and begin with a cycle unless one is going to be asked for (S-14)."""
        known = tuple((condition, entry.market_id) for condition, entry in self._state.directory.items())
        self.tell(ingest_address(self._state.wallet), MarketsKnown(entries=known))
        if self._settings.begin:
            self.tell(self.address, SyncAsked(why="start"))

    def take(self, message: object, now_ms: int) -> None:
        """Requests, timers and settings; what a cycle gathers goes on to :meth:`_gather`."""
        match message:
            case Tick():
                self._want(SyncAsked(why="interval"), now_ms)
            case SyncAsked():
                self._want(message, now_ms)
            case CycleDeadline():
                self._deadline(message, now_ms)
            case CycleDurable():
                self._ended(message, now_ms)
            case WalletDefined() | CycleClosed():
                self._apply(message)
            case DescribeState():
                body = self.described(self._state)
                self.tell(REPORTER, Answer(request_id=message.request_id, ok=True, detail=self.address, body=body))
            case _:
                self._gather(message, now_ms)

    def _gather(self, message: object, now_ms: int) -> None:
        """What others answer within a cycle; late answers are dropped by their correlation."""
        match message:
            case ReadCompleted() | ReadFailed():
                self._answered(message, now_ms)
            case ImageTaken():
                self._image(message, now_ms)
            case MarketsNeeded():
                self._needed(message)
            case ChainFollowed():
                if self._hand_on(message):
                    self._want_extra(now_ms)
            case BlockPassed() | LogsOverdue():
                self._passed(message, now_ms)
            case PollDone():
                self._polled(message, now_ms)
            case ViewApplied():
                self._applied(message, now_ms)
            case PausesKnown():
                self._judged(message, now_ms)
            case _:
                super().take(message, now_ms)

    # -- starting -------------------------------------------------------------------------------------------------

    def _want(self, asked: SyncAsked, now_ms: int) -> None:
        """Start a cycle, or join the request to the next one (S-01)."""
        if asked.why in EXTRA:
            self._want_extra(now_ms)
            return
        if asked.request_id:
            self._queued.append(asked.request_id)
        if self._cycle is not None:
            if self._next is None or asked.why == "force":
                self._next = msgspec.structs.replace(asked, request_id="")
            return
        self._start(now_ms, forced=asked.why == "force")

    def _want_extra(self, now_ms: int) -> None:
        """One more cycle for all that was filled since the last one began, but no sooner than a second after (R-34)."""
        if not self._state.opened or self._extra:
            return
        self._extra = True
        if self._cycle is None:
            self._tick_in(max(0, self._started_at_ms + EXTRA_CYCLE_MS - now_ms))

    def _tick_in(self, rest_ms: int) -> None:
        if self._cancel_tick is not None:
            self._cancel_tick()
        self._cancel_tick = self.later(rest_ms, Tick())

    def _start(self, now_ms: int, *, forced: bool) -> None:
        self._extra, self._started_at_ms = False, now_ms
        synced_at_ms = max(now_ms, self._state.last_synced_at_ms + 1, self._settings.interrupted_at_ms + 1)
        cycle_id = f"{self._state.wallet}-{synced_at_ms}"
        self._cycle = Cycle(cycle_id, synced_at_ms, now_ms, forced=forced)
        self._waiting, self._queued = self._queued, []
        self.later(self._settings.deadline_ms, CycleDeadline(cycle_id=cycle_id))
        self._snapshot(self._cycle, now_ms)

    # -- answers --------------------------------------------------------------------------------------------------

    def _answered(self, message: ReadCompleted | ReadFailed, now_ms: int) -> None:
        if message.correlation.startswith(NEED_PREFIX):
            self._need_answered(message)
            return
        running = self._cycle
        key = running.key_of(message.correlation) if running is not None else None
        if running is None or key is None:
            return
        running.awaiting.discard(key)
        if isinstance(message, ReadFailed):
            self._failed(running, key, message)
        else:
            self._completed(running, key, message)
        self._move_on(running, now_ms)

    def _applied(self, message: ViewApplied, now_ms: int) -> None:
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id:
            return
        running.awaiting.discard(f"view:{message.image.market_id}")
        running.images[message.image.market_id] = message.image
        if message.result is None:
            running.notes.append(f"market {message.image.market_id} could not judge its view and halted")
        else:
            running.results.append(message.result)
        self._move_on(running, now_ms)

    # -- closing --------------------------------------------------------------------------------------------------

    def _judged(self, message: PausesKnown, now_ms: int) -> None:
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id:
            return
        running.paused = message.paused
        running.awaiting.discard("pauses")
        self._move_on(running, now_ms)

    def _ended(self, message: CycleDurable, now_ms: int) -> None:
        """The report is on disk: show it, wake who waits, and go on."""
        running, self._cycle = self._cycle, None
        report = message.report
        ended = Ended(
            report=report,
            completed=running is not None and running.completed,
            data_api_up=running is not None and not running.data_failure,
            images=tuple(running.images.values()) if running is not None else self._shown.images,
            at_ms=now_ms,
        )
        self._shown = shown_after(self._shown, self._state, ended)
        self._board.sync[self._state.wallet] = self._shown
        if report.onchain_reconciled:
            self._reconciled_block = report.block_number
            agreed = running is not None and running.agreed
            self._followed.compared(report.block_number, ended.images, agreed=agreed)
            self._follow_from(running)
        if running is not None and running.completed:
            self._look_for_overdue(running, now_ms)
        if self._state.opened and not self._told_opened:
            self._told_opened = True
            self.tell(ingest_address(self._state.wallet), WalletOpened())
        body = msgspec.json.encode(report)
        for request_id in self._waiting:
            self.tell(REPORTER, Answer(request_id=request_id, ok=True, detail=report.cycle_id, body=body))
        self._waiting = []
        self._plan_next(running, now_ms)

    def _follow_from(self, running: Cycle | None) -> None:
        """After the very first comparison there is a block from which on the chain can be followed."""
        if running is not None and not self._followed.begun:
            follow = self._followed.ask(self._state.wallet, running, self.address, waits=False)
            if follow is not None:
                self.tell(WATCHER, follow)

    def _plan_next(self, running: Cycle | None, now_ms: int) -> None:
        """The next interval, or sooner: a joined request at once, after fills within a second (S-01, R-34)."""
        asked, self._next = self._next, None
        started_ms = running.started_at_ms if running is not None else now_ms
        rest_ms = max(0, self._settings.sync_interval_ms - (now_ms - started_ms))
        if self._extra or (running is not None and running.poll is not None and running.poll.new_legs):
            rest_ms = min(rest_ms, max(0, started_ms + EXTRA_CYCLE_MS - now_ms))
        if asked is not None:
            self.tell(self.address, asked)
            return
        self._tick_in(rest_ms)
