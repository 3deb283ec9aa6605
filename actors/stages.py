"""The stages of one cycle: what is asked in each, and when the next one begins (D-09, D-11).

*Snapshot* all markets; *pin* a block and read the balances at it; ask the *witnesses* (Data API, open orders); follow
up (*trades* after the block, *fates* of orders that left the list, metadata); read *tokens first seen* at the same
block; take all *images* again; send *views* to the markets that differ; let the gate *judge*; *close* durably.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from actors.base import DecidingActor, System
from actors.board import Board, SyncShown
from actors.directory import Directory, Ensure
from actors.following import LogsFollowed
from actors.gathering import AGREEMENT_KEY, LOGS_KEY, Cycle, Stage, gathered
from actors.ports import ExternalReads
from messages.addresses import WATCHER, Address, gate_address, ingest_address, market_address
from messages.cycle import CycleDeadline, CycleDurable, CycleJudged, PollTrades, SnapshotAsked
from messages.following import LogsOverdue
from messages.reads import Read, ReadAgreement, ReadMarkets, ReadOpenOrders, ReadOrder, ReadPositions
from portfolio import closing, cycle, wallet
from portfolio.events import WalletEvent
from portfolio.labelling_book import TokenBook
from portfolio.thresholds import suspect_shrink
from portfolio.token_ids import contradictions_noted
from portfolio.views import ViewPolicy
from portfolio.wallet import DirectoryEntry, WalletState

SINGLE_LOOKUPS_ONLY_BELOW = 10
"""Below so many live orders single look-ups suffice, without a second full read (D-14)."""


NAMED_MAX = 5
"""Conditions that a note names."""


class CoordinatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the cycle; what decisions depend on travels within the views and events (D-16).

    ``reconciled_block`` is where an earlier life of the process last compared the books with the chain, and
    ``logs_until`` up to where it had read the logs;
    ``interrupted_at_ms`` the time of a cycle that it did not finish: no other may have the same (D-24). ``begin``: the
    first cycle comes by itself (S-14), else it is asked for. ``fill_ttl_ms``: a fill's time to settle (R-10).
    ``address`` is the wallet's, ``book`` what its chain's logs are labelled by; None: they are not read.
    ``logs_wait_ms`` is how long a cycle waits until they were followed up to its block. Of several ``rpc_endpoints``
    none may contradict, and two must agree before anything is final (X-14).
    """

    wallet: str
    own_keys: tuple[str, ...]
    sync_interval_ms: int
    deadline_ms: int
    policy: ViewPolicy
    apply_without_rpc: bool
    reconciled_block: int | None = None
    logs_until: int | None = None
    interrupted_at_ms: int = 0
    begin: bool = True
    fill_ttl_ms: int = 900_000
    address: str = ""
    book: TokenBook | None = None
    logs_wait_ms: int = 5_000
    rpc_endpoints: int = 1

    def frame(self, running: Cycle) -> cycle.Frame:
        """What a plan needs to know of the cycle and the settings."""
        return cycle.Frame(
            cycle_id=running.cycle_id,
            synced_at_ms=running.synced_at_ms,
            policy=self.policy,
            own_keys=self.own_keys,
        )


class CycleStages(DecidingActor):
    """The coordinator's state, and its way through the stages of a cycle."""

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
        self._reconciled_block = settings.reconciled_block
        self._followed = LogsFollowed(settings.address, settings.book, settings.reconciled_block, settings.logs_until)
        self._shown = SyncShown(wallet=state)
        self._board.sync[state.wallet] = self._shown

    def _snapshot(self, running: Cycle, now_ms: int) -> None:
        """Ask every market for its image."""
        markets = sorted({entry.market_id for entry in self._state.directory.values()} - {*self._board.quarantined})
        running.awaiting = {f"image:{market_id}" for market_id in markets}
        ask = SnapshotAsked(cycle_id=running.cycle_id, reply_to=self.address)
        for market_id in markets:
            address = market_address(self._state.wallet, market_id)
            self._ensure(address)
            self.tell(address, ask)
        self._move_on(running, now_ms)

    def _move_on(self, running: Cycle, now_ms: int) -> None:
        """Go to the next stage when nobody is waited for."""
        if running.awaiting or self._cycle is not running:
            return
        steps: dict[Stage, Callable[[Cycle, int], None]] = {
            Stage.SNAPSHOT: self._pin,
            Stage.REFRESHED: self._pin,
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
        """Pin a block; but first read metadata again when that is due, for it says which contract owns a token."""
        known = tuple(sorted(self._state.directory))
        if known and not running.refreshed and self._directory.due(now_ms, forced=running.forced):
            running.refreshed = True
            self._ask(running, "refresh", ReadMarkets(wallet=self._state.wallet, condition_ids=known))
            return
        if running.refreshed and not running.awaiting and running.stage is Stage.SNAPSHOT:
            running.stage = Stage.REFRESHED
            self._snapshot(running, now_ms)
            return
        running.stage = Stage.PIN
        self._ask(running, "balances", self._directory.checking_ids(running.pinning_read(self._state.wallet)))

    def _ask_witnesses(self, running: Cycle, _now_ms: int) -> None:
        running.stage = Stage.WITNESSES
        self._ask(running, "positions", ReadPositions(wallet=self._state.wallet))
        self._ask(running, "orders", ReadOpenOrders(wallet=self._state.wallet))
        pinned = running.balances
        if pinned is not None and self._settings.rpc_endpoints > 1:
            running.agreed = False
            number, block_hash = pinned.block_number, pinned.block_hash
            agreement = ReadAgreement(wallet=self._state.wallet, block_number=number, block_hash=block_hash)
            self._ask(running, AGREEMENT_KEY, agreement)
        if (follow := self._followed.ask(self._state.wallet, running, self.address)) is not None:
            running.awaiting.add(LOGS_KEY)
            self.tell(WATCHER, follow)
            self.later(self._settings.logs_wait_ms, LogsOverdue(cycle_id=running.cycle_id))

    def _follow_up(self, running: Cycle, now_ms: int) -> None:
        """Trades after the block, fates of orders that left the list, metadata of conditions first seen."""
        running.judge_age(now_ms, self._settings.sync_interval_ms)
        running.judge_stand_in(self._reconciled_block)
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
        running.conditions_seen = conditions
        unknown = running.unknown_conditions(self._state.directory)
        if unknown:
            self._ask(running, "markets", ReadMarkets(wallet=self._state.wallet, condition_ids=unknown))
        running.awaiting.add("poll")
        poll = PollTrades(cycle_id=running.cycle_id, reply_to=self.address)
        self.tell(ingest_address(self._state.wallet), poll)

    def _read_new_tokens(self, running: Cycle, now_ms: int) -> None:
        if running.skips(apply_without_rpc=self._settings.apply_without_rpc):
            self._judge(running, now_ms)
            return
        running.stage = Stage.TOKENS
        again = running.new_tokens_read(self._state.wallet, self._directory.metas.values())
        if again is not None:
            self._ask(running, "tokens", self._directory.checking_ids(again))
        self._move_on(running, now_ms)

    def _take_images(self, running: Cycle, now_ms: int) -> None:
        """Images once more, after the poll's fills: every market has taken all that was told before (S-02)."""
        running.stage = Stage.IMAGES
        running.notes.extend(f"market {market_id} is quarantined" for market_id in self._board.quarantined)
        running.images = {}
        self._snapshot(running, now_ms)

    def _send_views(self, running: Cycle, now_ms: int) -> None:
        running.stage = Stage.VIEWS
        # Once more: what was read first may be too old by now, and the chain may have failed since (D-11).
        running.judge_age(now_ms, self._settings.sync_interval_ms)
        running.judge_stand_in(self._reconciled_block)
        if running.skips(apply_without_rpc=self._settings.apply_without_rpc):
            self._judge(running, now_ms)
            return
        images, readings, frame = running.sorted_images(), running.readings(), self._settings.frame(running)
        running.plan = plan = cycle.plan(images, readings, frame, self._wallet_with_unknown(running))
        running.notes.extend(filter(None, [plan.doubt, *contradictions_noted(images)]))
        running.awaiting = {f"view:{market_id}" for market_id in plan.views}
        self.breathe()  # a plan of many markets is much work by itself
        for market_id, view in plan.views.items():
            self.tell(market_address(self._state.wallet, market_id), view)
        prices = cycle.reference_prices(images, readings)
        self._followed.planned(running, prices)
        self._shown = msgspec.structs.replace(
            self._shown,
            prices=prices,
            priced_at_ms=now_ms,
            metadata_at_ms=self._directory.read_at_ms or 0,
            balances=running.balances,
        )
        self._move_on(running, now_ms)

    def _wallet_with_unknown(self, running: Cycle) -> WalletState:
        """The wallet with markets that have no metadata yet: they are missing, so cash is not judged (X-10)."""
        unknown = running.unknown_conditions(self._state.directory)
        if unknown:
            shown = ", ".join(unknown[:NAMED_MAX])
            running.notes.append(f"cash is not judged while {len(unknown)} conditions have no metadata: {shown}")
        missing = {name: DirectoryEntry(market_id=name, token_ids=()) for name in unknown}
        return msgspec.structs.replace(self._state, directory={**self._state.directory, **missing})

    def _judge(self, running: Cycle, now_ms: int) -> None:
        """The gate hears of critical drift, and says who is paused."""
        del now_ms
        running.stage = Stage.JUDGE
        running.awaiting = {"pauses"}
        drifts = closing.critical_drifts(
            running.results, running.synced_at_ms, running.cycle_id, onchain_reconciled=running.balances is not None
        )
        self.tell(gate_address(self._state.wallet), CycleJudged(cycle_id=running.cycle_id, drifts=drifts))

    def _close(self, running: Cycle, now_ms: int) -> None:
        running.stage = Stage.CLOSING
        shown = gathered(running, now_ms, self._settings.policy.discrepancy_alert_micro)
        event = msgspec.structs.replace(closing.close(shown, self._state), logs_until=self._followed.until)
        durable = CycleDurable(cycle_id=running.cycle_id, report=event.report)
        self._apply(event, ((self.address, durable),))

    def _apply(self, event: WalletEvent, then: Sequence[tuple[Address, object]] = ()) -> None:
        step = wallet.transition(self._state, event, self._stamp_ms)
        if step.state is not self._state or step.rows:
            self._state = step.state
            self.submit(event, step.state.version, step.rows, then)

    def _deadline(self, message: CycleDeadline, now_ms: int) -> None:
        """Nobody is waited for any longer; what was corrected is still judged, or its pause would be lost."""
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id or running.stage is Stage.CLOSING:
            return
        running.give_up()
        if running.stage is Stage.VIEWS and running.results:
            self.later(self._settings.deadline_ms, message)
            self._judge(running, now_ms)
        else:
            self._close(running, now_ms)
