"""Wiring for the command line: a process with its real ports, for a long run, one cycle, or one command (D-07)."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import gevent
import msgspec
import structlog

from actors.ports import AlertSink
from messages.control import Answer, Command
from polymarket.reads import PolymarketReads
from polymarket.user_stream import PolymarketUserStream
from portfolio.outcomes import Alert
from portfolio.reasons import REASONS, ReasonCode
from portfolio.thresholds import FindingLevel, ParameterFinding
from service.alerting import open_alerting
from service.clock import SystemClock
from service.config import Config, ConfigError, polymarket_settings
from service.http.servers import Servers
from service.live import CycleLines
from service.logs import set_up
from service.one_wallet import the_wallet
from service.process import Outside, Process
from service.telemetry import NoMetrics, open_metrics
from storage.database import open_database

CLOSE_WITHIN_S = 5
LOOK_AGAIN_S = 2
"""``sync`` looks again after about a block while differences wait for their second look (R-05)."""

LOOKS_BEYOND_WINDOW = 8
"""Looks after the settling window, before ``sync`` ends with differences still pending."""

_log = structlog.get_logger(__name__)


def owner_name() -> str:
    """Who we are to others that want the same database."""
    return f"portfolio-sync, process {os.getpid()} on {socket.gethostname()}"


def open_outside(config: Config, *, follow: bool = True, lines: bool = True) -> Outside:
    """The real witnesses, metrics and alert channels; ``follow``: the user stream too.

    ``lines``: on a terminal each cycle is said in one; not where something else is drawn there.
    """
    settings, clock = polymarket_settings(config), SystemClock().now_ms
    reads = PolymarketReads(settings, clock)
    metrics = open_metrics(config)

    def close() -> None:
        reads.close(CLOSE_WITHIN_S)
        metrics.close()

    seen = CycleLines(metrics, sys.stderr) if lines and sys.stderr.isatty() else metrics
    wallet = the_wallet(config)
    stream = partial(PolymarketUserStream, settings, wallet.name, clock)
    with_stream = follow and wallet.credentials is not None
    return Outside(
        reads=reads,
        metrics=seen,
        sink=open_alerting(config),
        close=close,
        stream=stream if with_stream else None,
    )


def say_findings(findings: Sequence[ParameterFinding], sink: AlertSink, now_ms: int) -> None:
    """What the parameters deserve at start and after a reload: a line in the log, or an alert (R-07)."""
    for finding in findings:
        if finding.level is FindingLevel.WARN:
            _log.warning("parameter", name=finding.parameter, text=finding.text)
        else:
            _alert(sink, finding.code, finding.text, now_ms)


def _alert(sink: AlertSink, code: ReasonCode, text: str, now_ms: int) -> None:
    """Say it now: it concerns the process, not a wallet's books, so it is in no outbox."""
    sink.send(
        Alert(
            wallet="",
            key=f"process:{code.value}:{now_ms}",
            code=code.value,
            severity=REASONS[code].severity,
            route=REASONS[code].route.value,
            market_id="",
            text=text,
            at_ms=now_ms,
        )
    )


def open_process(config: Config, outside: Outside | None = None) -> Process:
    """A process that owns its database; it starts with ``start``. Raises LeaseHeld when another one owns it."""
    database = open_database(config.storage_url, owner=owner_name(), now_ms=SystemClock().now_ms())
    return Process(config, database, outside or open_outside(config))


def run(config: Config) -> int:
    """Run until SIGTERM or SIGINT, then stop in order; 0, or 1 when the process had to give up."""
    set_up(config)
    outside = open_outside(config)
    process = open_process(config, outside)
    say_findings(config.findings, outside.sink, SystemClock().now_ms())
    servers = Servers(process, config)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, process.ended.set)
    gevent.signal_handler(signal.SIGHUP, _reload, process, outside.sink)
    try:
        process.start()
        servers.start()
        process.ended.wait()
    finally:
        servers.stop()
        process.stop()
    return 1 if process.failure else 0


def _reload(process: Process, sink: AlertSink) -> None:
    """SIGHUP: take in the file again; a rejected one alerts and leaves the old configuration in force (S-10, R-07)."""
    try:
        done = process.reload_config()
    except ConfigError as error:
        text = f"the changed configuration was rejected, the old one stays in force: {error}"
        _alert(sink, ReasonCode.PARAMETER_CHANGE_REQUIRES_APPROVAL, text, SystemClock().now_ms())
    else:
        _log.info("reloaded", **done)


@contextmanager
def running(config: Config, outside: Outside | None = None, *, begin: bool = True) -> Iterator[Process]:
    """A started process, stopped in order at the end; without ``begin`` it runs the cycles that it is asked for."""
    process = open_process(config, outside)
    try:
        process.start(begin=begin)
        yield process
    finally:
        process.stop()


def sync_once(config: Config) -> dict[str, Any]:
    """One full cycle, and further looks while differences wait for one; the last report with all that was changed."""
    set_up(config)
    looks = config.sync.settle_window_ms // (LOOK_AGAIN_S * 1000) + LOOKS_BEYOND_WINDOW
    with running(config, open_outside(config, follow=False), begin=False) as process:
        done = process.force_sync()
        for _ in range(looks):
            if not done["operations_report"]["pending_count"]:
                break
            gevent.sleep(LOOK_AGAIN_S)
            again = process.force_sync()
            done = {
                "operations_report": again["operations_report"],
                "settlement_reports": [*done["settlement_reports"], *again["settlement_reports"]],
                "issues": [*done["issues"], *again["issues"]],
            }
    return done


def quiet(config: Config) -> Config:
    """The configuration with a log for operators' commands: warnings and worse."""
    return msgspec.structs.replace(config, service=msgspec.structs.replace(config.service, log_level="warning"))


def offline_command(config: Config, command: Command) -> Answer:
    """Take the lease, obey one command, and leave: for operators while no process runs (D-22)."""
    set_up(quiet(config))
    outside = Outside(reads=_NoReads(), metrics=NoMetrics(), sink=open_alerting(config), close=lambda: None)
    process = open_process(config, outside)
    try:
        process.start(cycles=False)
        return process.command(command)
    finally:
        process.stop()


class _NoReads:
    """Witnesses of a process that only obeys a command: it is never asked, for it runs no cycle."""

    def request(self, read: object, reply: object, correlation: str) -> None:
        """Refuse."""
        raise RuntimeError(f"{correlation}: a process without cycles was asked for {read!r} by {reply!r}")
