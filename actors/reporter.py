"""Says what is durable: alerts (at least once, with a key), metrics, log lines, answers to waiting callers (D-18)."""

from __future__ import annotations

from collections import Counter, OrderedDict

import msgspec

from actors.base import BaseActor, System
from actors.ports import AlertSink, Metrics, Outbox, Replies
from actors.writer import Delivered, RowsDurable
from messages.addresses import REPORTER, WRITER
from messages.control import Answer
from messages.feeding import Counted, StreamMeasured
from portfolio.outcomes import Alert, CycleStatus, DeltaType, IssueRow, OperationsReport, Outcome, SettlementReport
from portfolio.reasons import ReasonCode

OUTBOX_PAGE = 500
RETRY_MS = 5_000
SAID_MAX = 10_000
"""Keys remembered in order not to say an alert twice in one life of the process."""


class SayAgain(msgspec.Struct, frozen=True):
    """Try the alerts that could not be said."""


class Reporter(BaseActor):
    """The last step of every outcome. It decides nothing."""

    def __init__(self, system: System, sink: AlertSink, metrics: Metrics, outbox: Outbox, replies: Replies) -> None:
        super().__init__(REPORTER, system)
        self._sink = sink
        self._metrics = metrics
        self._outbox = outbox
        self._replies = replies
        self._unsaid: OrderedDict[str, Alert] = OrderedDict()
        self._said: OrderedDict[str, None] = OrderedDict()

    def on_start(self) -> None:
        """Initialise the metrics' labels (R-33), and say what an earlier life could not."""
        self._metrics.known_statuses(tuple(CycleStatus))
        for pending in self._outbox.pending(OUTBOX_PAGE):
            alert = msgspec.json.decode(pending.payload, type=Alert)
            self._unsaid[alert.key] = alert
        if self._unsaid:
            self.tell(REPORTER, SayAgain())

    def take(self, message: object, now_ms: int) -> None:
        """Say rows, retry alerts, wake callers."""
        match message:
            case RowsDurable(rows=rows):
                self._report(rows)
            case Counted(names=names):
                for name in names:
                    self._metrics.counted(name)
            case StreamMeasured(gap_ms=gap_ms):
                self._metrics.stream_gap(gap_ms)
            case SayAgain():
                self._say()
            case Answer():
                self._replies.answer(message.request_id, ok=message.ok, detail=message.detail, body=message.body)
            case _:
                super().take(message, now_ms)

    def _report(self, rows: tuple[Outcome, ...]) -> None:
        deltas: Counter[DeltaType] = Counter()
        for row in rows:
            match row:
                case OperationsReport():
                    self._metrics.cycle(row)
                    self.log.info("cycle", cycle_id=row.cycle_id, status=row.status.value, deltas=row.delta_count)
                case SettlementReport(event_type=ReasonCode.PORTFOLIO_SYNC_STRATEGY_PAUSED.value):
                    self._metrics.strategy_paused(row.strategy_id)
                case SettlementReport():
                    deltas[row.delta_type] += 1
                    self.log.info("delta", market_id=row.market_id, delta_type=row.delta_type.value, cause=row.cause)
                case IssueRow():
                    self._metrics.counted(f"issues.{row.type.lower()}")
                case Alert() if row.key not in self._said:
                    self._unsaid[row.key] = row
                case _:
                    pass
        for delta_type, count in deltas.items():
            self._metrics.positions_synced(delta_type, count)
        self._say()

    def _say(self) -> None:
        """Send every unsaid alert; what no channel takes stays in the outbox and is tried again."""
        delivered = []
        for key, alert in list(self._unsaid.items()):
            try:
                self._sink.send(alert)
            except Exception:
                self.log.exception("alert_not_delivered", key=key, retry_in_ms=RETRY_MS)
                self.later(RETRY_MS, SayAgain())
                break
            del self._unsaid[key]
            self._said[key] = None
            delivered.append(key)
        while len(self._said) > SAID_MAX:
            self._said.popitem(last=False)
        if delivered:
            self.tell(WRITER, Delivered(keys=tuple(delivered)))
