"""The FillIngestActor: reads trades, brings them into normal form, hands each leg to its market. It books nothing.

Trades of conditions that nobody knows yet wait here until the coordinator has their metadata. The cursor moves only
after a cycle is durable that followed the poll (D-21), and never past a trade that is not terminal, because its end has
to be seen too.
"""

from __future__ import annotations

import msgspec

from actors.base import DecidingActor, System
from actors.ports import ExternalReads
from messages.addresses import REPORTER, Address, coordinator_address, market_address
from messages.control import Answer, DescribeState
from messages.cycle import CycleDurable, MarketsKnown, MarketsNeeded, PollDone, PollTrades
from messages.reads import ReadCompleted, ReadFailed, ReadTrades, TradesAnswer
from portfolio.booking import STATUS_RANK
from portfolio.events import CursorAdvanced, FillSeen
from portfolio.facts import Certificate, Source, TradeStatus, Verdict
from portfolio.outcomes import CursorRow
from portfolio.trades import TradeLeg, own_legs

OVERLAP_S = 60
"""Seconds read again before the cursor: match times are whole seconds and rows may appear late."""

TERMINAL = frozenset({TradeStatus.CONFIRMED, TradeStatus.FAILED})
NS_PER_S = 1_000_000_000


class IngestState(msgspec.Struct, frozen=True, kw_only=True):
    """Journaled: how far trades are durable, Unix seconds; 0 = from the beginning."""

    wallet: str
    version: int = 0
    cursor_s: int = 0


class MarketRestarted(msgspec.Struct, frozen=True):
    """A market lost its mailbox, and with it perhaps fills that it was told; told by the supervisor."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who the wallet is on the exchange: the funder's address and the configured API keys (R-21)."""

    wallet: str
    address: str
    api_keys: tuple[str, ...]


class _Poll:
    """One poll under way."""

    def __init__(self, request: PollTrades) -> None:
        self.request = request
        self.certificate: Certificate | None = None
        self.waiting: list[TradeLeg] = []
        self.new_legs = 0
        self.cursor_s = 0


class FillIngestActor(DecidingActor):
    """One per wallet."""

    def __init__(
        self, address: Address, system: System, state: IngestState, identity: Identity, reads: ExternalReads
    ) -> None:
        super().__init__(address, system)
        self._state = state
        self._identity = identity
        self._reads = reads
        self._directory: dict[str, str] = {}
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}
        self._poll: _Poll | None = None
        self._durable_to: tuple[str, int] | None = None

    def take(self, message: object, now_ms: int) -> None:
        """Poll, hand on, advance."""
        match message:
            case PollTrades():
                self._start(message)
            case ReadCompleted(answer=TradesAnswer()):
                self._received(message)
            case ReadFailed():
                self._failed(message)
            case MarketsKnown():
                self._known(message)
            case CycleDurable():
                self._advance(message, now_ms)
            case MarketRestarted():
                self._seen.clear()
                self._durable_to = None
            case DescribeState():
                body = msgspec.json.encode({"address": self.address, "state": self._state})
                self.tell(REPORTER, Answer(request_id=message.request_id, ok=True, detail=self.address, body=body))
            case _:
                super().take(message, now_ms)

    def _start(self, message: PollTrades) -> None:
        self._poll = _Poll(message)
        read = ReadTrades(wallet=self._identity.wallet, after_s=max(0, self._state.cursor_s - OVERLAP_S))
        self._reads.request(read, lambda answer: self.tell(self.address, answer), message.cycle_id)

    def _received(self, message: ReadCompleted) -> None:
        poll = self._poll
        if poll is None or message.correlation != poll.request.cycle_id or not isinstance(message.answer, TradesAnswer):
            return
        if message.certificate.verdict is not Verdict.COMPLETE:
            self._done(poll, detail=f"trades are {message.certificate.verdict.value}: {message.certificate.reason}")
            return
        poll.certificate = message.certificate
        legs = [
            leg
            for trade in message.answer.trades
            for leg in own_legs(trade, self._identity.address, self._identity.api_keys)
        ]
        poll.cursor_s = self._next_cursor(legs)
        unknown = []
        for leg in sorted(legs, key=lambda leg: (leg.matched_at_ns, leg.trade_id, leg.order_id)):
            if leg.condition_id in self._directory:
                self._hand_on(poll, leg)
            else:
                poll.waiting.append(leg)
                unknown.append(leg.condition_id)
        if unknown:
            needed = MarketsNeeded(condition_ids=tuple(sorted(set(unknown))))
            self.tell(coordinator_address(self._identity.wallet), needed)
        else:
            self._done(poll)

    def _failed(self, message: ReadFailed) -> None:
        poll = self._poll
        if poll is not None and message.correlation == poll.request.cycle_id:
            self._done(poll, detail=f"{Source.CLOB_TRADES.value} {message.kind.value}: {message.detail}")

    def _next_cursor(self, legs: list[TradeLeg]) -> int:
        """Up to the newest match, or the oldest one that is not terminal; never back."""
        open_ones = [leg.matched_at_ns for leg in legs if leg.status not in TERMINAL]
        newest = max((leg.matched_at_ns for leg in legs), default=0)
        reached = min(open_ones, default=newest) // NS_PER_S
        return max(self._state.cursor_s, reached)

    def _hand_on(self, poll: _Poll, leg: TradeLeg) -> None:
        """Tell the market, unless this life of the process has told it the same status already."""
        key = (leg.trade_id, leg.order_id)
        rank = STATUS_RANK[leg.status]
        if self._seen.get(key, (-1, 0))[0] >= rank:
            return
        if key not in self._seen:
            poll.new_legs += 1
        self._seen[key] = (rank, leg.matched_at_ns)
        market = market_address(self._identity.wallet, self._directory[leg.condition_id])
        self.tell(market, FillSeen(leg=leg, feed="poll"))

    def _known(self, message: MarketsKnown) -> None:
        self._directory.update(message.entries)
        poll = self._poll
        if poll is None or poll.certificate is None:
            return
        still = [leg for leg in poll.waiting if leg.condition_id not in self._directory]
        for leg in poll.waiting:
            if leg.condition_id in self._directory:
                self._hand_on(poll, leg)
        poll.waiting = still
        if all(leg.condition_id in message.unresolved for leg in still):
            oldest_s = min((leg.matched_at_ns for leg in still), default=poll.cursor_s * NS_PER_S) // NS_PER_S
            poll.cursor_s = max(self._state.cursor_s, min(poll.cursor_s, oldest_s))
            self._done(poll)

    def _done(self, poll: _Poll, detail: str = "") -> None:
        self._poll = None
        complete = detail == ""
        if complete:
            self._durable_to = (poll.request.cycle_id, poll.cursor_s)
        self.tell(
            poll.request.reply_to,
            PollDone(
                cycle_id=poll.request.cycle_id,
                certificate=poll.certificate if complete else None,
                detail=detail,
                new_legs=poll.new_legs,
                unresolved=tuple(sorted({leg.condition_id for leg in poll.waiting})),
            ),
        )

    def _advance(self, message: CycleDurable, now_ms: int) -> None:
        """Everything that the cycle's poll handed on is on disk: move the cursor, forget what lies before it."""
        if self._durable_to is None or self._durable_to[0] != message.cycle_id:
            return
        cursor_s = self._durable_to[1]
        self._durable_to = None
        if cursor_s <= self._state.cursor_s:
            return
        event = CursorAdvanced(source=Source.CLOB_TRADES.value, value=str(cursor_s))
        self._state = advance(self._state, event)
        row = CursorRow(wallet=self._state.wallet, source=event.source, value=event.value, at_ms=now_ms)
        self.submit(event, self._state.version, (row,))
        horizon_ns = (cursor_s - 2 * OVERLAP_S) * NS_PER_S
        self._seen = {key: value for key, value in self._seen.items() if value[1] >= horizon_ns}


def advance(state: IngestState, event: CursorAdvanced) -> IngestState:
    """The ingest's transition: a cursor never goes back (D-21)."""
    return msgspec.structs.replace(state, cursor_s=max(state.cursor_s, int(event.value)), version=state.version + 1)
