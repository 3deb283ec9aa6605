"""Readings of trades over REST, and the way of what they show to the markets: the ingest's half without the stream.

The cursor moves only when all that a reading showed is durable (D-21), and never past a trade that is not terminal,
because its end has to be seen too.
"""

from __future__ import annotations

import itertools

import msgspec

from actors.base import DecidingActor, System
from actors.board import Board
from actors.checking import Checks
from actors.handing import Handing, Identity
from actors.jobs import NS_PER_S, OVERLAP_S, TradeJob
from actors.outflow import Outflow
from actors.ports import ExternalReads, UserStream
from actors.streaming import StreamWatch
from messages.addresses import REPORTER, Address, coordinator_address
from messages.control import Answer, Backfill, BackfillDone
from messages.cycle import MarketsKnown, MarketsNeeded, PollDone, PollTrades
from messages.feeding import Counted, StreamMeasured
from messages.reads import Read, ReadCompleted, ReadFailed, ReadTrades, TradesAnswer
from portfolio.events import CursorAdvanced
from portfolio.facts import Source, Verdict
from portfolio.outcomes import CursorRow
from portfolio.trades import TradeLeg, own_legs

STALLED_MS = 30_000
"""A chunk that is not durable by then is given up: a market lost its mailbox, or the disk stands still."""


class IngestState(msgspec.Struct, frozen=True, kw_only=True):
    """Journaled: how far trades are durable, Unix seconds; 0 = from the beginning."""

    wallet: str
    version: int = 0
    cursor_s: int = 0


class ChunkOverdue(msgspec.Struct, frozen=True):
    """Time to look whether a chunk has become durable; told by the ingest to itself."""

    chunk: int


class TradeReadings(DecidingActor):
    """The ingest's state, and its readings over REST."""

    def __init__(
        self,
        address: Address,
        system: System,
        state: IngestState,
        identity: Identity,
        outside: tuple[ExternalReads, UserStream | None, Board],
    ) -> None:
        super().__init__(address, system)
        self._state = state
        self._identity = identity
        self._reads, self._stream, self._board = outside
        self._outflow = Outflow(self)
        self._handing = Handing(identity, self._outflow, self._need)
        self._checks = Checks(identity, self._handing, self._ask, self._outflow.put)
        self._watch = StreamWatch()
        self._jobs: dict[str, TradeJob] = {}
        self._numbers = itertools.count(1)
        self._watched: set[int] = set()

    def knows(self, address: Address) -> bool:
        """Whether an actor is at the address (a quarantined market is not)."""
        return self.system.post.knows(address)

    def _flow(self) -> None:
        """Hand on; watch each chunk that is on its way, for a market that is gone answers nothing."""
        absent = self._outflow.flow()
        if absent:
            self._count("handed_to_nobody")
            self._handing.tell_again(absent)
        for chunk in self._outflow.open_chunks():
            if chunk not in self._watched:
                self._watched.add(chunk)
                self.later(STALLED_MS, ChunkOverdue(chunk=chunk))

    def _look_at(self, message: ChunkOverdue) -> None:
        self._watched.discard(message.chunk)
        if message.chunk in self._outflow.open_chunks():
            self._count("handing_on_stalled")
            self._lost()

    def _lost(self) -> None:
        """What was told may not have arrived: the next reading tells it again."""
        self._handing.tell_again()
        self._outflow.lose()

    def _count(self, *names: str) -> None:
        if names:
            self.tell(REPORTER, Counted(names=names))

    def _ask(self, read: Read, correlation: str) -> None:
        self._reads.request(read, lambda answer: self.tell(self.address, answer), correlation)

    def _need(self, condition_ids: tuple[str, ...]) -> None:
        self.tell(coordinator_address(self._identity.wallet), MarketsNeeded(condition_ids=condition_ids))

    def _show(self) -> None:
        self._board.stream[self._identity.wallet] = self._watch.shown

    def _begin_again(self, reason: str) -> None:
        """Give the stream's connection up: it does not deliver what it should."""
        self._count("stream_begun_again")
        self.log.warning("stream_begun_again", reason=reason)
        if self._stream is not None:
            self._stream.reconnect(reason)

    def _read_again(self, job: TradeJob) -> None:
        """Read the trades since the cursor, with an overlap (D-21)."""
        self._read_trades(job, max(0, self._state.cursor_s - OVERLAP_S))

    def _read_trades(self, job: TradeJob, after_s: int, condition_id: str = "") -> None:
        self._jobs[job.correlation] = job
        read = ReadTrades(wallet=self._identity.wallet, after_s=after_s, condition_id=condition_id)
        self._ask(read, job.correlation)

    def _job_answered(self, job: TradeJob, message: ReadCompleted | ReadFailed, now_ms: int) -> None:
        if isinstance(message, ReadFailed):
            job.detail = f"{Source.CLOB_TRADES.value} {message.kind.value}: {message.detail}"
            self._done(job, now_ms)
        elif message.certificate.verdict is not Verdict.COMPLETE:
            job.detail = f"trades are {message.certificate.verdict.value}: {message.certificate.reason}"
            self._done(job, now_ms)
        elif isinstance(message.answer, TradesAnswer):
            job.certificate = message.certificate
            self._received(job, message.answer, now_ms)

    def _received(self, job: TradeJob, answer: TradesAnswer, now_ms: int) -> None:
        legs = [
            leg for trade in answer.trades for leg in own_legs(trade, self._identity.address, self._identity.api_keys)
        ]
        job.trades, job.legs = len(answer.trades), len(legs)
        job.reached(legs, self._state.cursor_s)
        for leg in sorted(legs, key=lambda leg: (leg.matched_at_ns, leg.trade_id, leg.order_id)):
            if self._handing.knows(leg.condition_id):
                self._hand_on(job, leg, now_ms)
            else:
                job.waiting.append(leg)
        if job.waiting:
            self._need(job.unresolved)
        else:
            self._done(job, now_ms)

    def _hand_on(self, job: TradeJob, leg: TradeLeg, now_ms: int) -> None:
        if job.feed == "poll" and not leg.external and not self._handing.seen(leg):
            self._watch.suspect((leg.trade_id, leg.order_id), leg.updated_at_ms, now_ms)
        if self._handing.leg(leg, job.feed):
            job.new_legs += 1

    def _known(self, message: MarketsKnown, now_ms: int) -> None:
        self._handing.learn(message.entries, message.unresolved)
        for job in [job for job in self._jobs.values() if job.waiting]:
            here = [leg for leg in job.waiting if self._handing.knows(leg.condition_id)]
            job.waiting = [leg for leg in job.waiting if not self._handing.knows(leg.condition_id)]
            for leg in here:
                self._hand_on(job, leg, now_ms)
            if all(leg.condition_id in message.unresolved for leg in job.waiting):
                job.stops_before_waiting(self._state.cursor_s)
                self._done(job, now_ms)

    def _done(self, job: TradeJob, now_ms: int) -> None:
        """The reading is over: what it showed is put to be handed on; the rest follows once that is done."""
        del self._jobs[job.correlation]
        if job.detail == "" and job.moves_cursor:
            self._outflow.when_durable(lambda arrived: self._advance(job) if arrived else None)
        match job.wanted_by:
            case PollTrades():
                self._polled(job, job.wanted_by, now_ms)
            case Backfill():
                self._backfilled(job, job.wanted_by)
            case None:
                self._count(*(("catch_up_failed",) if job.detail else ()))
                job.then()

    def _polled(self, job: TradeJob, poll: PollTrades, now_ms: int) -> None:
        missed = self._watch.judge(now_ms) if job.detail == "" else 0
        self._show()
        if self._watch.shown.gap_ms is not None:
            self.tell(REPORTER, StreamMeasured(gap_ms=self._watch.shown.gap_ms))
        if missed:
            self._count(*("stream_missed_fill" for _ in range(missed)))
            self._begin_again(f"{missed} fills were in the exchange's list that the stream did not show")
        done = PollDone(
            cycle_id=poll.cycle_id,
            certificate=job.certificate if job.detail == "" else None,
            detail=job.detail,
            new_legs=job.new_legs,
            unresolved=job.unresolved,
        )
        self._outflow.when_sent(lambda _arrived: self.tell(poll.reply_to, done))

    def _backfilled(self, job: TradeJob, backfill: Backfill) -> None:
        done = BackfillDone(
            trades=job.trades,
            pages=job.certificate.pages if job.certificate is not None else 0,
            legs=job.legs,
            new_legs=job.new_legs,
            unresolved=job.unresolved,
        )
        body = msgspec.json.encode(done)

        def answer(arrived: bool) -> None:  # noqa: FBT001 - the outflow's word
            lost = "a market is down or was restarted meanwhile; ask again, what is booked already is recognised"
            detail = job.detail or ("" if arrived else lost)
            told = Answer(request_id=backfill.request_id, ok=detail == "", detail=detail, body=body)
            self.tell(REPORTER, told)

        self._outflow.when_durable(answer)

    def _advance(self, job: TradeJob) -> None:
        """Everything that the reading showed is on disk: move the cursor, forget what lies before it."""
        if job.cursor_s <= self._state.cursor_s:
            return
        event = CursorAdvanced(source=Source.CLOB_TRADES.value, value=str(job.cursor_s))
        self._state = advance(self._state, event)
        row = CursorRow(wallet=self._state.wallet, source=event.source, value=event.value, at_ms=self._stamp_ms)
        self.submit(event, self._state.version, (row,))
        self._handing.forget_before((job.cursor_s - 2 * OVERLAP_S) * NS_PER_S)


def advance(state: IngestState, event: CursorAdvanced) -> IngestState:
    """The ingest's transition: a cursor never goes back (D-21)."""
    return msgspec.structs.replace(state, cursor_s=max(state.cursor_s, int(event.value)), version=state.version + 1)
