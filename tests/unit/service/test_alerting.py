"""Alerts: always one log line, and the channels for those that ask for attention."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from portfolio.outcomes import Severity
from service.alerting import Alerting, AlertNotDelivered, open_alerting
from service.config import load
from tests.integration.storage import samples


class Recorder:
    """Channels that take or refuse, and remember."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.sent: list[tuple[str, str, str]] = []

    def notify(self, *, title: str, body: str, notify_type: str) -> bool | None:
        self.sent.append((title, body, notify_type))
        return self.takes


@pytest.mark.req("S-05")
def test_an_alert_is_one_log_line_with_code_market_and_drift() -> None:
    with capture_logs() as lines:
        Alerting(None, "").send(samples.alert())
    assert len(lines) == 1
    assert lines[0]["event"] == "PORTFOLIO_SYNC_DISCREPANCY"
    assert lines[0]["log_level"] == "warning"
    assert (lines[0]["market_id"], lines[0]["drift_pusd"]) == (samples.MARKET, "11.6")


@pytest.mark.req("R-26")
@pytest.mark.parametrize(
    ("route", "severity", "sent"),
    [("log", Severity.INFO, []), ("warn", Severity.WARN, ["warning"]), ("page", Severity.WARN, ["failure"])],
)
def test_only_what_asks_for_attention_goes_to_the_channels(route: str, severity: Severity, sent: list[str]) -> None:
    channels = Recorder()
    Alerting(channels, "the governance pod").send(samples.alert(route=route, severity=severity))
    assert [kind for _, _, kind in channels.sent] == sent


@pytest.mark.req("S-06")
def test_a_page_names_who_is_on_call_and_what_it_is_about() -> None:
    channels = Recorder()
    Alerting(channels, "the governance pod").send(samples.alert(route="page", strategy_id="maker"))
    title, body, _ = channels.sent[0]
    assert title == "PAGE PORTFOLIO_SYNC_DISCREPANCY (on call: the governance pod)"
    assert "strategy: maker" in body
    assert "drift: 11.6 pUSD" in body


@pytest.mark.req("D-18")
def test_an_alert_that_a_channel_refuses_is_raised_and_logged_once() -> None:
    channels = Recorder(takes=False)
    alerting = Alerting(channels, "")
    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(AlertNotDelivered, match="alert-1"):
                alerting.send(samples.alert())
    assert (len(lines), len(channels.sent)) == (1, 2)


@pytest.fixture
def received() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A web hook on a port, and what it was sent."""
    bodies: list[dict[str, Any]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, bodies
    server.shutdown()
    thread.join()
    server.server_close()


# Apprise imports a module that Python 3.13 no longer has; it knows how to do without.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
@pytest.mark.req("S-05")
def test_a_configured_channel_gets_the_alert_and_an_unusable_one_is_said(
    received: tuple[int, list[dict[str, Any]]], tmp_path: Path
) -> None:
    port, bodies = received
    file = tmp_path / "c.toml"
    file.write_text(f'[alerts]\nurls = ["json://127.0.0.1:{port}/hook", "nonsense://token"]\n', encoding="utf-8")
    with capture_logs() as lines:
        alerting = open_alerting(load(file, {"HOME": "/"}, secrets_needed=False))
        alerting.send(samples.alert(route="page"))
    assert bodies[0]["title"] == "PAGE PORTFOLIO_SYNC_DISCREPANCY"
    assert bodies[0]["type"] == "failure"
    unusable = [line for line in lines if line["event"] == "alert channel unusable"]
    assert [line["key"] for line in unusable] == ["alerts.urls[1]"]
    assert "token" not in str(lines)
