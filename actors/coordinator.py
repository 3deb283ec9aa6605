"""The SyncCoordinator: one cycle at a time; who must answer, by when (S-01, S-02, D-09, D-11).

It gathers by messages and decides nothing about a market's numbers. The stages of a cycle: *pin* a block and read the
balances at it; ask the *witnesses* (Data API, open orders); follow up (*trades* after the block, *fates* of orders that
left the list, metadata); read *tokens first seen* at the same block; take all *images*; send *views* to the markets
that differ; let the gate *judge*; close with a durable report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from actors.base import DecidingActor, System
from actors.board import Board, SyncShown
from actors.directory import Directory, Ensure
from actors.gathering import METADATA_KEYS, Cycle, Stage
from actors.ports import ExternalReads
from messages.addresses import REPORTER, Address, gate_address, ingest_address, market_address
from messages.control import Answer, DescribeState
from messages.cycle import (
    CycleDeadline,
    CycleDurable,
    CycleJudged,
    ImageTaken,
    MarketsKnown,
    MarketsNeeded,
    PausesKnown,
    PollDone,
    PollTrades,
    SnapshotAsked,
    SyncAsked,
    Tick,
    ViewApplied,
)
from messages.reads import (
    MarketsAnswer,
    Read,
    ReadCompleted,
    ReadFailed,
    ReadMarkets,
    ReadOpenOrders,
    ReadOrder,
    ReadPositions,
)
from portfolio import closing, cycle, wallet
from portfolio.events import CycleClosed, WalletDefined, WalletEvent
from portfolio.facts import FailureKind, MarketMeta, Verdict
from portfolio.outcomes import CycleStatus
from portfolio.thresholds import suspect_shrink
from portfolio.views import ViewPolicy
from portfolio.wallet import WalletState

EXTRA_CYCLE_MS = 1_000
"""At most one extra cycle a second (R-34)."""

SINGLE_LOOKUPS_ONLY_BELOW = 10
"""Below so many live orders single look-ups suffice, without a second full read (D-14)."""

MISCONFIGURED = frozenset({FailureKind.WRONG_CHAIN, FailureKind.NO_CONTRACT, FailureKind.UNAUTHORIZED})


class CoordinatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the cycle; what decisions depend on travels within the views and events (D-16)."""

    wallet: str
    own_keys: tuple[str, ...]
    sync_interval_ms: int
    deadline_ms: int
    policy: ViewPolicy
    apply_without_rpc: bool


class SyncCoordinator(DecidingActor):
    """One per wallet."""

    def __init__(
        self,
        address: Address,
        system: System,
        state: WalletState,
        settings: CoordinatorSettings,
        outside: tuple[ExternalReads, Board, Ensure],
    ) -> None:
        super().__init__(address, system)
        self._state = state
        self._settings = settings
        self._reads, self._board, self._ensure = outside
        self._directory = Directory(state.wallet, self.tell, self._ensure)
        self._cycle: Cycle | None = None
        self._next: SyncAsked | None = None
        self._waiting: list[str] = []
        self._queued: list[str] = []
        self._cancel_tick: Callable[[], None] | None = None
        self._shown = SyncShown(wallet=state)
        self._board.sync[state.wallet] = self._shown

    def on_start(self) -> None:
        """Tell the ingest what is known, and begin with a cycle (S-14)."""
        known = tuple((condition, entry.market_id) for condition, entry in self._state.directory.items())
        self.tell(ingest_address(self._state.wallet), MarketsKnown(entries=known))
        self.tell(self.address, SyncAsked(why="start"))

    def take(self, message: object, now_ms: int) -> None:
        """Run the cycle's state machine; answers that come late are dropped by their correlation."""
        match message:
            case Tick():
                self._want(SyncAsked(why="interval"), now_ms)
            case SyncAsked():
                self._want(message, now_ms)
            case CycleDeadline():
                self._deadline(message, now_ms)
            case ReadCompleted() | ReadFailed():
                self._answered(message, now_ms)
            case ImageTaken():
                self._image(message, now_ms)
            case MarketsNeeded():
                self._needed(message)
            case PollDone():
                self._polled(message, now_ms)
            case ViewApplied():
                self._applied(message, now_ms)
            case PausesKnown():
                self._judged(message, now_ms)
            case WalletDefined() | CycleClosed():
                self._apply(message)
            case CycleDurable():
                self._ended(message, now_ms)
            case DescribeState():
                body = msgspec.json.encode({"address": self.address, "state": self._state})
                self.tell(REPORTER, Answer(request_id=message.request_id, ok=True, detail=self.address, body=body))
            case _:
                super().take(message, now_ms)

    # -- starting -------------------------------------------------------------------------------------------------

    def _want(self, asked: SyncAsked, now_ms: int) -> None:
        """Start a cycle, or join the request to the next one (S-01)."""
        if asked.request_id:
            self._queued.append(asked.request_id)
        if self._cycle is not None:
            if self._next is None or asked.why == "force":
                self._next = msgspec.structs.replace(asked, request_id="")
            return
        self._start(now_ms, forced=asked.why == "force")

    def _start(self, now_ms: int, *, forced: bool) -> None:
        synced_at_ms = max(now_ms, self._state.last_synced_at_ms + 1)
        cycle_id = f"{self._state.wallet}-{synced_at_ms}"
        self._cycle = Cycle(cycle_id, synced_at_ms, now_ms, forced=forced)
        self._waiting, self._queued = self._queued, []
        self.later(self._settings.deadline_ms, CycleDeadline(cycle_id=cycle_id))
        self._snapshot(self._cycle, now_ms)

    def _snapshot(self, running: Cycle, now_ms: int) -> None:
        """Ask every market for its image."""
        markets = sorted({entry.market_id for entry in self._state.directory.values()})
        running.awaiting = {f"image:{market_id}" for market_id in markets}
        ask = SnapshotAsked(cycle_id=running.cycle_id, reply_to=self.address)
        for market_id in markets:
            address = market_address(self._state.wallet, market_id)
            self._ensure(address)
            self.tell(address, ask)
        self._move_on(running, now_ms)

    def _image(self, message: ImageTaken, now_ms: int) -> None:
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id:
            return
        running.images[message.image.market_id] = message.image
        running.awaiting.discard(f"image:{message.image.market_id}")
        self._move_on(running, now_ms)

    # -- stages ---------------------------------------------------------------------------------------------------

    def _move_on(self, running: Cycle, now_ms: int) -> None:
        """Go to the next stage when nobody is waited for."""
        if running.awaiting or self._cycle is not running:
            return
        steps: dict[Stage, Callable[[Cycle, int], None]] = {
            Stage.SNAPSHOT: self._pin,
            Stage.PIN: self._ask_witnesses,
            Stage.WITNESSES: self._follow_up,
            Stage.FOLLOW_UP: self._read_new_tokens,
            Stage.TOKENS: self._take_images,
            Stage.IMAGES: self._send_views,
            Stage.VIEWS: self._judge,
            Stage.JUDGE: self._close,
        }
        step = steps.get(running.stage)
        if step is not None:
            step(running, now_ms)

    def _ask(self, running: Cycle, key: str, read: Read) -> None:
        running.awaiting.add(key)
        self._reads.request(read, lambda answer: self.tell(self.address, answer), running.correlation(key))

    def _pin(self, running: Cycle, now_ms: int) -> None:
        del now_ms
        running.stage = Stage.PIN
        self._ask(running, "balances", running.pinning_read(self._state.wallet))

    def _ask_witnesses(self, running: Cycle, now_ms: int) -> None:
        running.stage = Stage.WITNESSES
        name, known = self._state.wallet, tuple(sorted(self._state.directory))
        self._ask(running, "positions", ReadPositions(wallet=name))
        self._ask(running, "orders", ReadOpenOrders(wallet=name))
        if known and self._directory.due(now_ms, forced=running.forced):
            self._ask(running, "refresh", ReadMarkets(wallet=name, condition_ids=known))

    def _follow_up(self, running: Cycle, now_ms: int) -> None:
        """Trades after the block, fates of orders that left the list, metadata of conditions first seen."""
        running.judge_age(now_ms, self._settings.sync_interval_ms)
        if running.orders is None or running.refused:
            self._judge(running, now_ms)
            return
        missing = cycle.missing_orders(running.images.values(), running.orders)
        live = sum(len(image.orders) for image in running.images.values())
        if suspect_shrink(live, len(missing)) and live >= SINGLE_LOOKUPS_ONLY_BELOW and not running.orders_reread:
            running.orders_reread = True
            running.notes.append(f"{len(missing)} of {live} live orders were missing: the list was read again")
            self._ask(running, "orders", ReadOpenOrders(wallet=self._state.wallet))
            return
        running.stage = Stage.FOLLOW_UP
        for order_id in missing:
            self._ask(running, f"fate:{order_id}", ReadOrder(wallet=self._state.wallet, order_id=order_id))
        conditions = {order.condition_id for order in running.orders}
        conditions |= {row.condition_id for row in running.positions or ()}
        unknown = tuple(sorted(conditions - set(self._state.directory)))
        if unknown:
            self._ask(running, "markets", ReadMarkets(wallet=self._state.wallet, condition_ids=unknown))
        running.awaiting.add("poll")
        poll = PollTrades(cycle_id=running.cycle_id, reply_to=self.address)
        self.tell(ingest_address(self._state.wallet), poll)

    def _read_new_tokens(self, running: Cycle, now_ms: int) -> None:
        if running.refused or not running.has_positions(apply_without_rpc=self._settings.apply_without_rpc):
            self._judge(running, now_ms)
            return
        running.stage = Stage.TOKENS
        again = running.new_tokens_read(self._state.wallet, self._directory.metas.values())
        if again is not None:
            self._ask(running, "tokens", again)
        self._move_on(running, now_ms)

    def _take_images(self, running: Cycle, now_ms: int) -> None:
        """Images once more, after the poll's fills: every market has taken all that was told before (S-02)."""
        running.stage = Stage.IMAGES
        running.images = {}
        self._snapshot(running, now_ms)

    def _send_views(self, running: Cycle, now_ms: int) -> None:
        running.stage = Stage.VIEWS
        images, readings = running.sorted_images(), running.readings()
        frame = cycle.Frame(
            cycle_id=running.cycle_id,
            synced_at_ms=running.synced_at_ms,
            policy=self._settings.policy,
            own_keys=self._settings.own_keys,
        )
        running.plan = cycle.plan(images, readings, frame, self._state)
        running.awaiting = {f"view:{market_id}" for market_id in running.plan.views}
        for market_id, view in running.plan.views.items():
            self.tell(market_address(self._state.wallet, market_id), view)
        prices = cycle.reference_prices(images, readings)
        self._shown = msgspec.structs.replace(self._shown, prices=prices, balances=running.balances)
        self._move_on(running, now_ms)

    def _judge(self, running: Cycle, now_ms: int) -> None:
        """The gate hears of critical drift, and says who is paused."""
        del now_ms
        running.stage = Stage.JUDGE
        running.awaiting = {"pauses"}
        drifts = closing.critical_drifts(
            running.results,
            running.synced_at_ms,
            running.cycle_id,
            onchain_reconciled=running.balances is not None,
        )
        judged = CycleJudged(cycle_id=running.cycle_id, drifts=drifts)
        self.tell(gate_address(self._state.wallet), judged)

    # -- answers --------------------------------------------------------------------------------------------------

    def _answered(self, message: ReadCompleted | ReadFailed, now_ms: int) -> None:
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

    def _failed(self, running: Cycle, key: str, message: ReadFailed) -> None:
        running.unavailable(key, message.source, f"{message.kind.value}: {message.detail}")
        if message.kind in MISCONFIGURED:
            self.log.error("source_misconfigured", source=message.source.value, detail=message.detail)
        if key == "needed":
            self._directory.answer_need(self._state.directory)

    def _completed(self, running: Cycle, key: str, message: ReadCompleted) -> None:
        """Only a COMPLETE reading is believed; metadata that came is of use even if some is missing."""
        running.certificates.append(message.certificate)
        if isinstance(message.answer, MarketsAnswer):
            self._learn(message.answer.markets)
            if key == "needed":
                self._directory.answer_need(self._state.directory)
        elif message.certificate.verdict is Verdict.COMPLETE and key not in METADATA_KEYS:
            running.believe(message.answer, message.certificate.started_at_ms)
            if key == "balances" and running.balances is not None:
                self._directory.hand_out_counts(running.images, running.balances.question_counts)
        else:
            detail = f"{message.certificate.verdict.value}: {message.certificate.reason}"
            running.unavailable(key, message.certificate.source, detail)

    def _learn(self, metas: Sequence[MarketMeta]) -> None:
        """Register conditions, start their markets, hand them their metadata (D-01)."""
        event = self._directory.registration(self._state.directory, metas)
        if event is not None:
            self._apply(event)
        self._directory.hand_out(self._state.directory, metas)

    def _needed(self, message: MarketsNeeded) -> None:
        """Trades wait at the ingest for these conditions."""
        running = self._cycle
        unknown = self._directory.need(self._state.directory, message.condition_ids)
        if running is None or not unknown:
            self._directory.answer_need(self._state.directory)
            return
        self._ask(running, "needed", ReadMarkets(wallet=self._state.wallet, condition_ids=unknown))

    def _polled(self, message: PollDone, now_ms: int) -> None:
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id or "poll" not in running.awaiting:
            return
        running.poll = message
        running.awaiting.discard("poll")
        if message.certificate is None:
            running.clob_failure = running.clob_failure or message.detail
        else:
            running.certificates.append(message.certificate)
        if message.unresolved:
            running.notes.append(f"no metadata yet for conditions {', '.join(message.unresolved)}: their trades wait")
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

    def _deadline(self, message: CycleDeadline, now_ms: int) -> None:
        """Nobody is waited for any longer; what did not answer is named."""
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id or running.stage is Stage.CLOSING:
            return
        waited = ", ".join(sorted(running.awaiting)[:5])
        running.stale = running.stale or f"the cycle's deadline passed at stage {running.stage.value}: {waited}"
        running.awaiting = set()
        self._close(running, now_ms)

    def _judged(self, message: PausesKnown, now_ms: int) -> None:
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id:
            return
        running.paused = message.paused
        running.awaiting.discard("pauses")
        self._move_on(running, now_ms)

    def _close(self, running: Cycle, now_ms: int) -> None:
        running.stage = Stage.CLOSING
        gathered = running.gathered(now_ms, self._settings.policy.discrepancy_alert_micro)
        event = closing.close(gathered, self._state)
        durable = CycleDurable(cycle_id=running.cycle_id, report=event.report)
        then = ((ingest_address(self._state.wallet), durable), (self.address, durable))
        self._apply(event, then)

    def _apply(self, event: WalletEvent, then: Sequence[tuple[Address, object]] = ()) -> None:
        step = wallet.transition(self._state, event, self._stamp_ms)
        if step.state is not self._state or step.rows:
            self._state = step.state
            self.submit(event, step.state.version, step.rows, then)

    def _ended(self, message: CycleDurable, now_ms: int) -> None:
        """The report is on disk: show it, wake who waits, and go on."""
        running, self._cycle = self._cycle, None
        report = message.report
        clob_up = report.status is not CycleStatus.CLOB_UNAVAILABLE
        completed = running is not None and running.completed
        down_since = self._shown.clob_down_since_ms
        images = tuple(running.images.values()) if running is not None else self._shown.images
        self._shown = msgspec.structs.replace(
            self._shown,
            wallet=self._state,
            report=report,
            completed_at_ms=now_ms if completed else self._shown.completed_at_ms,
            clob_down_since_ms=None if clob_up else (down_since if down_since is not None else now_ms),
            rpc_up=report.block_number is not None,
            data_api_up=running is not None and not running.data_failure,
            images=images,
        )
        self._board.sync[self._state.wallet] = self._shown
        body = msgspec.json.encode(report)
        for request_id in self._waiting:
            self.tell(REPORTER, Answer(request_id=request_id, ok=True, detail=report.cycle_id, body=body))
        self._waiting = []
        self._plan_next(running, now_ms)

    def _plan_next(self, running: Cycle | None, now_ms: int) -> None:
        """The next interval, or sooner: a joined request at once, after fills within a second (S-01, R-34)."""
        asked, self._next = self._next, None
        started_ms = running.started_at_ms if running is not None else now_ms
        rest_ms = max(0, self._settings.sync_interval_ms - (now_ms - started_ms))
        if running is not None and running.poll is not None and running.poll.new_legs:
            rest_ms = min(rest_ms, EXTRA_CYCLE_MS)
        if asked is not None:
            self.tell(self.address, asked)
            return
        if self._cancel_tick is not None:
            self._cancel_tick()
        self._cancel_tick = self.later(rest_ms, Tick())
