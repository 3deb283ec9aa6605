"""StatsD: the metric catalogue and the one client (S-17, R-33). Nothing else imports ``statsd``.

StatsD knows no labels, so a label's value follows the metric's name as a suffix: ``NAME.VALUE``.
``conf/statsd-mapping.yml`` turns the suffixes back into labels for Prometheus' statsd_exporter.
"""

from __future__ import annotations

import enum
import socket
from collections.abc import Sequence

import msgspec
import statsd
import structlog

from portfolio.outcomes import CycleStatus, DeltaType, OperationsReport
from portfolio.reasons import IssueType
from portfolio.units import format_micro
from service.config import Config

PREFIX = "polytraders_gov_portfoliosync"

_log = structlog.get_logger(__name__)


class MetricType(enum.StrEnum):
    """As the document names them; a histogram is sent as a StatsD timer, in ms."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric: ``label`` is the name of its one label, or empty."""

    name: str
    type: MetricType
    unit: str
    label: str
    meaning: str


POSITIONS_SYNCED = Metric(
    name=f"{PREFIX}_positions_synced_total",
    type=MetricType.COUNTER,
    unit="count",
    label="delta_type",
    meaning="Total position deltas applied (ADDED, REMOVED, UPDATED) across all sync cycles.",
)
DISCREPANCY_COUNT = Metric(
    name=f"{PREFIX}_discrepancy_count",
    type=MetricType.GAUGE,
    unit="count",
    label="",
    meaning="Number of markets with drift above discrepancy_alert_usd at the last sync cycle.",
)
DRIFT_MAX = Metric(
    name=f"{PREFIX}_drift_pusd_max",
    type=MetricType.GAUGE,
    unit="usd",
    label="",
    meaning="Maximum per-market drift (pUSD) observed in the last sync cycle.",
)
SYNC_DURATION = Metric(
    name=f"{PREFIX}_sync_duration_ms",
    type=MetricType.HISTOGRAM,
    unit="ms",
    label="",
    meaning="Wall-clock duration of a full sync cycle.",
)
STRATEGIES_PAUSED = Metric(
    name=f"{PREFIX}_strategies_paused_total",
    type=MetricType.COUNTER,
    unit="count",
    label="strategy_id",
    meaning="Total strategy pause events triggered by critical position drift.",
)
SYNC_CYCLES = Metric(
    name=f"{PREFIX}_sync_cycles_total",
    type=MetricType.COUNTER,
    unit="count",
    label="status",
    meaning="Total sync cycles, labelled by how they ended.",
)
ISSUES = Metric(
    name=f"{PREFIX}_issues_total",
    type=MetricType.COUNTER,
    unit="count",
    label="type",
    meaning="Integrity issues recorded, by their type.",
)
EVENTS = Metric(
    name=f"{PREFIX}_events_total",
    type=MetricType.COUNTER,
    unit="count",
    label="event",
    meaning="Things dropped, late, repeated or refused, by what they were.",
)
STREAM_GAP = Metric(
    name=f"{PREFIX}_user_stream_gap_ms",
    type=MetricType.GAUGE,
    unit="ms",
    label="",
    meaning="How far the user stream was behind the exchange's trade list when a cycle last compared them.",
)
CATALOGUE = (
    POSITIONS_SYNCED,
    DISCREPANCY_COUNT,
    DRIFT_MAX,
    SYNC_DURATION,
    STRATEGIES_PAUSED,
    SYNC_CYCLES,
    ISSUES,
    EVENTS,
    STREAM_GAP,
)
"""Every metric there is: the document's six, then ours."""

APPLIED = (DeltaType.ADDED, DeltaType.REMOVED, DeltaType.UPDATED)
"""Delta types that are applied; NO_CHANGE is none."""


def bucket(metric: Metric, value: str = "") -> str:
    """The StatsD name of a metric, with its label's value."""
    return f"{metric.name}.{value}" if value else metric.name


class StatsdMetrics:
    """The actors' ``Metrics`` port over UDP: fire and forget; a lost packet is lost, and nothing waits."""

    def __init__(self, client: statsd.StatsClient, strategies: Sequence[str]) -> None:
        """``strategies`` are the ids whose counters begin at 0."""
        self._client = client
        self._strategies = tuple(strategies)

    def cycle(self, report: OperationsReport) -> None:
        """Count the cycle by its status. Gauges and duration stand only for cycles that compared something."""
        with self._client.pipeline() as batch:
            batch.incr(bucket(SYNC_CYCLES, report.status.value))
            batch.timing(bucket(SYNC_DURATION), report.sync_duration_ms)
            if report.status in {CycleStatus.OK, CycleStatus.RPC_UNAVAILABLE, CycleStatus.DATA_API_UNAVAILABLE}:
                batch.gauge(bucket(DISCREPANCY_COUNT), report.discrepancy_count)
                batch.gauge(bucket(DRIFT_MAX), _Amount(report.drift_max_micro))

    def positions_synced(self, delta_type: DeltaType, count: int) -> None:
        """Deltas were applied; NO_CHANGE is not one."""
        if delta_type in APPLIED:
            self._client.incr(bucket(POSITIONS_SYNCED, delta_type.value), count)

    def strategy_paused(self, strategy_id: str) -> None:
        """A strategy was paused by drift."""
        self._client.incr(bucket(STRATEGIES_PAUSED, strategy_id))

    def counted(self, name: str, count: int = 1) -> None:
        """``issues.TYPE`` counts an issue, any other name an event."""
        kind, _, detail = name.partition(".")
        metric, value = (ISSUES, detail) if kind == "issues" and detail else (EVENTS, name)
        self._client.incr(bucket(metric, value), count)

    def stream_gap(self, gap_ms: int) -> None:
        """The gauge of the stream's gap."""
        self._client.gauge(bucket(STREAM_GAP), gap_ms)

    def known_statuses(self, statuses: Sequence[CycleStatus]) -> None:
        """Begin every counter of every known label value at 0, so that the first increment is one (R-33)."""
        values: tuple[tuple[Metric, Sequence[str]], ...] = (
            (SYNC_CYCLES, [status.value for status in statuses]),
            (POSITIONS_SYNCED, [delta.value for delta in APPLIED]),
            (STRATEGIES_PAUSED, self._strategies),
            (ISSUES, [issue.value.lower() for issue in IssueType]),
        )
        with self._client.pipeline() as batch:
            for metric, names in values:
                for name in names:
                    batch.incr(bucket(metric, name), 0)

    def close(self) -> None:
        """Close the socket."""
        self._client.close()


class _Amount(int):
    """Micro pUSD that StatsD's client writes as an exact decimal."""

    def __str__(self) -> str:
        return format_micro(int(self))


class NoMetrics:
    """The same port where no metrics are wanted."""

    def cycle(self, report: OperationsReport) -> None:
        """Nothing."""

    def positions_synced(self, delta_type: DeltaType, count: int) -> None:
        """Nothing."""

    def strategy_paused(self, strategy_id: str) -> None:
        """Nothing."""

    def counted(self, name: str, count: int = 1) -> None:
        """Nothing."""

    def stream_gap(self, gap_ms: int) -> None:
        """Nothing."""

    def known_statuses(self, statuses: Sequence[CycleStatus]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def open_metrics(config: Config) -> StatsdMetrics | NoMetrics:
    """Metrics as configured. A host that cannot be resolved is said, and the service runs without metrics."""
    settings = config.statsd
    if not settings.host:
        return NoMetrics()
    ipv6 = ":" in settings.host
    try:
        client = statsd.StatsClient(settings.host, settings.port, prefix=settings.prefix or None, ipv6=ipv6)
    except socket.gaierror as error:
        _log.error("metrics off", host=settings.host, error=error.strerror, remedy="correct [statsd] host and restart")
        return NoMetrics()
    return StatsdMetrics(client, [strategy.strategy_id for strategy in config.strategies])
