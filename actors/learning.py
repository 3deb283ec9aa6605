"""What the coordinator is told: images, metadata that trades wait for; and whom it tells of fills that are overdue.

Metadata is learned between two cycles as well, and nothing of it holds a cycle up.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.directory import NEED_PREFIX
from actors.gathering import LOGS_KEY, NOTED, Cycle
from actors.stages import NAMED_MAX, CycleStages
from actors.told import PART
from messages.addresses import ingest_address, market_address
from messages.cycle import ImageTaken, MarketsNeeded, PollDone
from messages.feeding import CheckOverdue, OverdueFill
from messages.following import BlockPassed, ChainFollowed, LogsOverdue
from messages.reads import AgreementAnswer, BalancesAnswer, MarketsAnswer, ReadCompleted, ReadFailed, ReadMarkets
from portfolio.events import ChainSeen
from portfolio.facts import FailureKind, MarketMeta, Source, TokenIdCheck, Verdict
from portfolio.provisional import PROVISIONAL

MISCONFIGURED = frozenset({FailureKind.WRONG_CHAIN, FailureKind.NO_CONTRACT, FailureKind.UNAUTHORIZED})
"""Failures that do not pass by themselves."""


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
        self._followed.learn(metas)
        self._directory.hand_out(self._state.directory, metas)

    def _ids_checked(self, running: Cycle, checks: Sequence[TokenIdCheck]) -> None:
        """What the contract says of token ids goes to their markets; what it did not answer is noted, once (R-18)."""
        unanswered = self._directory.hand_out_checks(self._state.directory, running.images, checks)
        if unanswered:
            shown = ", ".join(unanswered[:NAMED_MAX])
            running.notes.append(
                f"the contract could not be asked for the token ids of {len(unanswered)} conditions, "
                f"so their metadata is taken at its word: {shown}"
            )

    def _failed(self, running: Cycle, key: str, message: ReadFailed) -> None:
        running.unavailable(key, message.source, f"{message.kind.value}: {message.detail}")
        if message.kind in MISCONFIGURED:
            self.log.error("source_misconfigured", source=message.source.value, detail=message.detail)

    def _completed(self, running: Cycle, key: str, message: ReadCompleted) -> None:
        """Only a COMPLETE reading is believed; metadata that came is of use even if some is missing."""
        running.certificates.append(message.certificate)
        if isinstance(message.answer, MarketsAnswer):
            self._learn(message.answer.markets)
        elif isinstance(message.answer, AgreementAnswer) and message.certificate.verdict is Verdict.COMPLETE:
            running.agree(message.answer)
        elif message.certificate.verdict is Verdict.COMPLETE and key not in NOTED:
            running.believe(message.answer, message.certificate)
            if isinstance(message.answer, BalancesAnswer):
                self._ids_checked(running, message.answer.balances.token_ids)
            if key == "balances" and running.balances is not None:
                self._directory.hand_out_counts(running.images, running.balances.question_counts)
        else:
            detail = f"{message.certificate.verdict.value}: {message.certificate.reason}"
            running.unavailable(key, message.certificate.source, detail)

    def _hand_on(self, message: ChainFollowed) -> bool:
        """Tell the markets what the chain shows of them; whether a cycle is wanted soon (X-01, R-22)."""
        for _ in self._followed.prepared(message):
            self.breathe()
        handed = self._followed.take(message)
        told = 0
        for market_id, event in handed.events:
            self.tell(market_address(self._state.wallet, market_id), event)
            told += len(event.facts) if isinstance(event, ChainSeen) else 1
            if told >= PART:
                told = 0
                self.breathe()
        if handed.unknown:
            read = ReadMarkets(wallet=self._state.wallet, token_ids=handed.unknown)
            self._reads.request(read, lambda answer: self.tell(self.address, answer), f"{NEED_PREFIX}tokens")
        return handed.urgent

    def _passed(self, message: BlockPassed | LogsOverdue, now_ms: int) -> None:
        """The logs are there up to the cycle's block, or are not waited for any longer."""
        running = self._cycle
        if running is None or message.cycle_id != running.cycle_id or LOGS_KEY not in running.awaiting:
            return
        running.awaiting.discard(LOGS_KEY)
        if isinstance(message, LogsOverdue):
            detail = f"they were not followed up to the cycle's block within {self._settings.logs_wait_ms} ms"
            running.unavailable(LOGS_KEY, Source.CHAIN_LOGS, detail)
        elif message.certificate is None:
            running.unavailable(LOGS_KEY, Source.CHAIN_LOGS, message.detail)
        else:
            running.certificates.append(message.certificate)
            self._followed.complete(running)
        self._move_on(running, now_ms)

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
        """Have fills looked up that did not settle within their time to live, and untraded orders (R-10, R-21)."""
        ttl_ms = self._settings.fill_ttl_ms
        overdue = [
            OverdueFill(market_id=image.market_id, trade_id=fill.trade_id, order_id=fill.order_id)
            for image in running.sorted_images()
            for token in image.tokens
            for fill in token.unproven
            if not fill.confirmed and now_ms >= max(fill.matched_at_ms + ttl_ms, fill.not_before_ms)
        ]
        overdue += [
            OverdueFill(market_id=image.market_id, trade_id=PROVISIONAL, order_id=order_id)
            for image in running.sorted_images()
            for order_id, not_before_ms in image.untraded_orders
            if now_ms >= not_before_ms
        ]
        if overdue:
            fills = tuple(dict.fromkeys(overdue))
            self.tell(ingest_address(self._state.wallet), CheckOverdue(fills=fills, ttl_ms=ttl_ms))
