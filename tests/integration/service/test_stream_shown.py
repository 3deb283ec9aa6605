"""What health and ``status`` tell of the user stream: a whole process whose stream, clock and outside are scripted."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from actors.streaming import GRACE_MS
from service import health
from service.bootstrap import running
from service.cli import main
from service.config import Config, load
from service.http import Servers
from service.logs import set_up
from service.process import Outside, Process
from tests.integration.service.books import decoded
from tests.support.moves import Deal, trade
from tests.support.stream import ScriptedStream
from tests.support.system import RecordingMetrics, RecordingSink
from tests.support.venue import FUNDER, MICRO, OWN_KEY, Venue

WITHIN_S = 60
HIDDEN = Deal(token_id="0xa-yes", size=10 * MICRO, price=400_000)
ENVIRONMENT = {
    "HOME": "/",
    "PORTFOLIO_SYNC_MAIN_API_KEY": OWN_KEY,
    "PORTFOLIO_SYNC_MAIN_API_SECRET": "c2VjcmV0",
    "PORTFOLIO_SYNC_MAIN_API_PASSPHRASE": "passphrase",
}


class HandClock:
    """The machine's time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        """Milliseconds UTC."""
        return time.time_ns() // MICRO + self.ahead_ms


class Stage:
    """A configuration, and what the process's stream and its outside world show."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        self.clock = clock
        self.venue = Venue(clock=clock)
        self.venue.add_market("0xa")
        self.stream = ScriptedStream(clock)
        self.file = folder / "portfolio-sync.toml"
        self.file.write_text(
            f'[service]\nstate_dir = "{folder}"\n[storage]\nurl = "sqlite:///{folder}/books.db"\n[statsd]\nhost = ""\n'
            f'[http]\nbind = ""\n[[wallets]]\nname = "main"\naddress = "{FUNDER}"\n',
            encoding="utf-8",
        )
        self.config: Config = load(self.file, ENVIRONMENT)

    def outside(self, *, follow: bool = True) -> Outside:
        """With a stream, or without one."""
        stream = (lambda: self.stream) if follow else None
        metrics, sink = RecordingMetrics(), RecordingSink()
        return Outside(reads=self.venue, metrics=metrics, sink=sink, close=lambda: None, stream=stream)

    def subscribe(self, process: Process) -> None:
        """The stream is subscribed, and what lies before that was read."""
        self.stream.subscribe()
        until(lambda: process.health().stream_connected)
        process.force_sync()


def until(look: Any) -> None:
    with gevent.Timeout(WITHIN_S):
        while not look():
            gevent.sleep(0.001)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    clock = HandClock()
    monkeypatch.setattr("service.wiring.SystemClock", lambda: clock)
    made = Stage(tmp_path, clock)
    set_up(made.config, io.StringIO())
    return made


@pytest.fixture
def process(stage: Stage) -> Iterator[Process]:
    """It has completed a cycle, and its stream was not subscribed yet."""
    with running(stage.config, stage.outside(), begin=False) as started:
        servers = Servers(started, stage.config)
        servers.start()
        started.force_sync()
        yield started
        servers.stop()


def judged(process: Process) -> tuple[str, str]:
    """Level and reasons."""
    document = health.judge(process.health())
    return document.level.value, " ".join(document.reasons)


@pytest.mark.req("S-18", "L-01", "R-14")
def test_a_stream_that_is_not_subscribed_degrades_health_and_stops_no_trade(stage: Stage, process: Process) -> None:
    assert judged(process) == ("degraded", "the user stream is not connected: fills are seen by the next cycle only")

    stage.subscribe(process)

    assert judged(process) == ("green", "")
    stage.stream.cut("the plug was pulled")
    until(lambda: not process.health().stream_connected)
    assert judged(process)[0] == "degraded"
    assert all(gate.allowed for gate in process.gates())


@pytest.mark.req("S-18")
def test_where_no_stream_is_followed_none_is_missed(stage: Stage) -> None:
    with running(stage.config, stage.outside(follow=False), begin=False) as process:
        process.force_sync()

        assert judged(process) == ("green", "")
        assert "stream" not in {source.name for source in process.sources()}


@pytest.mark.req("S-18", "L-30", "S-17")
def test_a_fill_that_the_stream_lost_is_told_with_its_gap_until_a_comparison_finds_none(
    stage: Stage, process: Process
) -> None:
    stage.subscribe(process)
    stage.clock.ahead_ms += 1  # a match of the very moment of the subscription could be older than it
    trade(stage.venue, "lost", HIDDEN)
    process.force_sync()
    assert judged(process) == ("green", "")
    stage.clock.ahead_ms += GRACE_MS

    process.force_sync()

    assert process.health().stream_gap_ms >= GRACE_MS
    assert judged(process)[0] == "degraded"
    assert "the user stream lost fills: it was" in judged(process)[1]
    assert stage.stream.reconnects == ["1 fills were in the exchange's list that the stream did not show"]
    process.force_sync()
    assert judged(process) == ("green", "")


@pytest.mark.req("S-18", "S-19")
def test_status_names_the_stream_among_the_sources(
    stage: Stage, process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.subscribe(process)
    assert shown(stage, capsys)["sources"]["stream"]["up"] is True
    stage.stream.cut("the plug was pulled")
    until(lambda: not process.health().stream_connected)

    source = shown(stage, capsys)["sources"]["stream"]

    assert (source["up"], source["detail"]) == (False, "the plug was pulled")
    assert source["last_ok_at_ms"] is not None
    assert main(["status", "--config", str(stage.file)]) == 0
    assert "source stream" in capsys.readouterr().out


def shown(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["status", "--config", str(stage.file), "--json"]) == 0
    return decoded(capsys.readouterr().out)
