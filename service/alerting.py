"""Where alerts go: always a structured log line; those that ask for attention also to the configured channels (S-05).

Once durable, an alert is said at least once, with its key (D-18): what no channel takes is raised, and the reporter
tries again. Apprise is imported only where a channel is configured.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from portfolio.outcomes import Alert, Severity
from portfolio.reasons import Route
from portfolio.units import format_micro
from service.config import Config

LOGGED_MAX = 10_000
"""Keys remembered, so that a repeated attempt is not a second log line."""

_log = structlog.get_logger(__name__)


class AlertNotDelivered(Exception):
    """Not every channel took an alert; it stays in the outbox."""


class Channels(Protocol):
    """The part of Apprise that is used."""

    def notify(self, *, title: str, body: str, notify_type: str) -> bool | None:
        """Send to all channels; whether all of them took it."""
        ...


class Alerting:
    """The actors' ``AlertSink`` port."""

    def __init__(self, channels: Channels | None, on_call: str) -> None:
        """``channels`` None: the log alone. ``on_call`` is named in pages."""
        self._channels = channels
        self._on_call = on_call
        self._logged: OrderedDict[str, None] = OrderedDict()

    def send(self, alert: Alert) -> None:
        """Say it. Raises AlertNotDelivered when a channel did not take it."""
        self._write(alert)
        if self._channels is None or alert.route == Route.LOG:
            return
        kind = "failure" if alert.route == Route.PAGE else "warning"
        if not self._channels.notify(title=self._title(alert), body=body_of(alert), notify_type=kind):
            raise AlertNotDelivered(f"Alert {alert.key} was not taken by every channel of [alerts] urls.")

    def _title(self, alert: Alert) -> str:
        calls = f" (on call: {self._on_call})" if self._on_call and alert.route == Route.PAGE else ""
        return f"{'PAGE' if alert.route == Route.PAGE else alert.severity.value} {alert.code}{calls}"

    def _write(self, alert: Alert) -> None:
        if alert.key in self._logged:
            return
        self._logged[alert.key] = None
        if len(self._logged) > LOGGED_MAX:
            self._logged.popitem(last=False)
        write = _log.info if alert.severity is Severity.INFO else _log.warning
        drift = None if alert.drift_micro is None else format_micro(alert.drift_micro)
        write(
            alert.code,
            text=alert.text,
            severity=alert.severity.value,
            route=alert.route,
            wallet=alert.wallet,
            market_id=alert.market_id,
            strategy_id=alert.strategy_id,
            drift_pusd=drift,
            key=alert.key,
        )


def body_of(alert: Alert) -> str:
    """The message: the sentence, then what it is about."""
    facts = (
        ("wallet", alert.wallet),
        ("market", alert.market_id),
        ("strategy", alert.strategy_id),
        ("drift", "" if alert.drift_micro is None else f"{format_micro(alert.drift_micro)} pUSD"),
        ("key", alert.key),
    )
    return "\n".join([alert.text, *(f"{name}: {value}" for name, value in facts if value)])


def open_alerting(config: Config) -> Alerting:
    """Alerting as configured. A URL that names no known channel is said in the log, without the URL."""
    return Alerting(_channels(config.alerts.urls), config.alerts.on_call)


def _channels(urls: Sequence[str]) -> Channels | None:
    if not urls:
        return None
    import apprise

    channels: Any = apprise.Apprise()
    for number, url in enumerate(urls):
        if not channels.add(url):
            _log.error("alert channel unusable", key=f"alerts.urls[{number}]", remedy="see the schemes Apprise knows")
    found: Channels | None = channels if len(channels) else None
    return found
