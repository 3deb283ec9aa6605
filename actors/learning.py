"""What the coordinator is told: images, metadata that trades wait for; and whom it tells of fills that are overdue.

Metadata is learned between two cycles as well, and nothing of it holds a cycle up.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.gathering import LOGS_KEY, Cycle
from actors.stages import CycleStages
from messages.addresses import ingest_address
from messages.cycle import ImageTaken, MarketsNeeded
from messages.feeding import CheckOverdue, OverdueFill
from messages.reads import LogsAnswer, MarketsAnswer, ReadCompleted, ReadFailed, ReadMarkets
from portfolio.facts import MarketMeta


class LearningStages(CycleStages):
    """The stages of a cycle, and what is asked beside them."""

    def _image(self, message: ImageTaken, now_ms: int) -> None:
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id:
            return
        running.images[message.image.market_id] = message.image
        running.awaiting.discard(f"image:{message.image.market_id}")
        self._move_on(running, now_ms)

    def _learn(self, metas: Sequence[MarketMeta]) -> None:
        """Register conditions, start their markets, hand them their metadata (D-01)."""
        event = self._directory.registration(self._state.directory, metas)
        if event is not None:
            self._apply(event)
        self._directory.hand_out(self._state.directory, metas)

    def _logged(self, running: Cycle, answer: LogsAnswer) -> None:
        """The logs of the cycle's blocks, or of the first of them (X-01)."""
        further = self._followed.next_read(self._state.wallet, running, answer)
        if further is not None:
            self._ask(running, LOGS_KEY, further)

    def _needed(self, message: MarketsNeeded) -> None:
        """Trades or orders wait at the ingest for these conditions, in a cycle or between two."""
        name = self._directory.need(self._state.directory, message.condition_ids)
        if name is not None:
            unknown = tuple(one for one in message.condition_ids if one not in self._state.directory)
            read = ReadMarkets(wallet=self._state.wallet, condition_ids=unknown)
            self._reads.request(read, lambda answer: self.tell(self.address, answer), name)

    def _need_answered(self, message: ReadCompleted | ReadFailed) -> None:
        if isinstance(message, ReadFailed):
            self.log.warning("metadata_not_read", source=message.source.value, detail=message.detail)
        elif isinstance(message.answer, MarketsAnswer):
            self._learn(message.answer.markets)
        self._directory.answer_need(self._state.directory, message.correlation)

    def _look_for_overdue(self, running: Cycle, now_ms: int) -> None:
        """Have fills looked up that did not settle within their time to live (R-10)."""
        ttl_ms = self._settings.fill_ttl_ms
        overdue = tuple(
            OverdueFill(market_id=image.market_id, trade_id=fill.trade_id, order_id=fill.order_id)
            for image in running.sorted_images()
            for token in image.tokens
            for fill in token.unproven
            if not fill.confirmed and now_ms >= max(fill.matched_at_ms + ttl_ms, fill.not_before_ms)
        )
        if overdue:
            self.tell(ingest_address(self._state.wallet), CheckOverdue(fills=overdue, ttl_ms=ttl_ms))
