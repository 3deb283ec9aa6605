"""Metrics: the document's names, on a real UDP socket, every known label value from the start."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from portfolio.outcomes import CycleStatus, DeltaType
from service.config import Config, load
from service.telemetry import CATALOGUE, NoMetrics, StatsdMetrics, open_metrics
from tests.integration.storage import samples

NAME = "polytraders_gov_portfoliosync_"
MAPPING = Path(__file__).parents[3] / "conf" / "statsd-mapping.yml"


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", 0))
    listening.settimeout(2)
    yield listening
    listening.close()


@pytest.fixture
def config(receiver: socket.socket, tmp_path: Path) -> Config:
    file = tmp_path / "c.toml"
    file.write_text(
        f"[statsd]\nport = {receiver.getsockname()[1]}\n[strategies.'maker.eu']\nmarkets = []\n", encoding="utf-8"
    )
    return load(file, {"HOME": "/"}, secrets_needed=False)


@pytest.fixture
def lines(receiver: socket.socket, config: Config) -> Iterator[Callable[[Callable[[StatsdMetrics], Any]], list[str]]]:
    """The lines that arrive when something is measured; an end mark follows, since UDP says no end."""
    metrics = open_metrics(config)
    assert isinstance(metrics, StatsdMetrics)

    def measured(act: Callable[[StatsdMetrics], Any]) -> list[str]:
        act(metrics)
        metrics.counted("end")
        found: list[str] = []
        while True:
            packet = receiver.recv(65_536)
            assert len(packet) <= 512
            found += packet.decode().split("\n")
            if found[-1] == f"{NAME}events_total.end:1|c":
                return found[:-1]

    yield measured
    metrics.close()


Measured = Callable[[Callable[[StatsdMetrics], Any]], list[str]]


@pytest.mark.req("S-17")
def test_a_cycle_is_counted_by_status_and_sets_the_gauges_exactly(lines: Measured) -> None:
    report = samples.operations(drift_max_micro=500_000_001, discrepancy_count=2, sync_duration_ms=420)
    assert lines(lambda metrics: metrics.cycle(report)) == [
        f"{NAME}sync_cycles_total.ok:1|c",
        f"{NAME}sync_duration_ms:420.000000|ms",
        f"{NAME}discrepancy_count:2|g",
        f"{NAME}drift_pusd_max:500.000001|g",
    ]


@pytest.mark.req("S-17", "S-11")
def test_a_skipped_cycle_leaves_the_gauges_as_they_were(lines: Measured) -> None:
    report = samples.operations(status=CycleStatus.CLOB_UNAVAILABLE, drift_max_micro=0)
    found = lines(lambda metrics: metrics.cycle(report))
    assert [line.partition(":")[0] for line in found] == [
        f"{NAME}sync_cycles_total.clob_unavailable",
        f"{NAME}sync_duration_ms",
    ]


@pytest.mark.req("S-17")
def test_deltas_pauses_issues_and_events_are_counted_with_their_labels(lines: Measured) -> None:
    def act(metrics: StatsdMetrics) -> None:
        metrics.positions_synced(DeltaType.UPDATED, 3)
        metrics.positions_synced(DeltaType.NO_CHANGE, 9)
        metrics.strategy_paused("maker.eu")
        metrics.counted("issues.cost_hint", 2)
        metrics.counted("late_answer")

    assert lines(act) == [
        f"{NAME}positions_synced_total.UPDATED:3|c",
        f"{NAME}strategies_paused_total.maker.eu:1|c",
        f"{NAME}issues_total.cost_hint:2|c",
        f"{NAME}events_total.late_answer:1|c",
    ]


@pytest.mark.req("R-33")
def test_every_known_label_value_begins_at_zero(lines: Measured) -> None:
    found = lines(lambda metrics: metrics.known_statuses(tuple(CycleStatus)))
    assert all(line.endswith(":0|c") for line in found)
    named = {line.removesuffix(":0|c") for line in found}
    assert {f"{NAME}sync_cycles_total.{status.value}" for status in CycleStatus} <= named
    assert {f"{NAME}positions_synced_total.{kind}" for kind in ("ADDED", "REMOVED", "UPDATED")} <= named
    assert {f"{NAME}strategies_paused_total.{name}" for name in ("default", "maker.eu")} <= named


@pytest.mark.req("S-17")
def test_the_catalogue_has_the_documents_six_metrics_with_type_unit_and_label() -> None:
    table = {metric.name.removeprefix(NAME): (metric.type.value, metric.unit, metric.label) for metric in CATALOGUE}
    assert {name: table[name] for name in list(table)[:6]} == {
        "positions_synced_total": ("counter", "count", "delta_type"),
        "discrepancy_count": ("gauge", "count", ""),
        "drift_pusd_max": ("gauge", "usd", ""),
        "sync_duration_ms": ("histogram", "ms", ""),
        "strategies_paused_total": ("counter", "count", "strategy_id"),
        "sync_cycles_total": ("counter", "count", "status"),
    }


@pytest.mark.req("S-17")
def test_the_mapping_gives_every_metric_its_label_back(lines: Measured) -> None:
    rules = {
        name: (match, label)
        for match, name, label in re.findall(
            r"- match: '(.+)'\n(?:    .+\n)*?    name: (\w+)\n(?:    .+\n)*?(?:    labels:\n      (\w+): \$1\n|\n|\Z)",
            MAPPING.read_text(encoding="utf-8") + "\n",
        )
    }
    assert {name: label for name, (_, label) in rules.items()} == {metric.name: metric.label for metric in CATALOGUE}
    for bucket in [f"{NAME}strategies_paused_total.maker.eu", f"{NAME}sync_cycles_total.ok", f"{NAME}drift_pusd_max"]:
        hits = [name for name, (match, _) in rules.items() if re.fullmatch(match, bucket)]
        assert len(hits) == 1


def test_an_empty_host_sends_nothing(config: Config) -> None:
    off = msgspec.structs.replace(config, statsd=msgspec.structs.replace(config.statsd, host=""))
    assert isinstance(open_metrics(off), NoMetrics)


def test_a_prefix_stands_before_every_name(receiver: socket.socket, config: Config) -> None:
    named = msgspec.structs.replace(config, statsd=msgspec.structs.replace(config.statsd, prefix="prod"))
    metrics = open_metrics(named)
    metrics.strategy_paused("default")
    assert receiver.recv(512).decode() == f"prod.{NAME}strategies_paused_total.default:1|c"
    metrics.close()
