"""Structured logs on stderr: one line per event, as JSON or for people; never a secret.

Set up once, at the start of the process. Records of libraries that use ``logging`` come out in the same form.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TextIO

import structlog

from service.config import Config

HIDDEN = "***"
_SECRET_KEYS = frozenset({"api_key", "api_secret", "api_passphrase", "secret", "passphrase", "token", "authorization"})
_HIDE_FROM_CHARS = 6
"""Shorter values are not searched for in lines: they would blot out ordinary words."""


class _Hide:
    """Takes secrets out of a line: by the name of their key, and by their value wherever it stands."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = tuple(value for value in values if len(value) >= _HIDE_FROM_CHARS)

    def keys(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {key: HIDDEN if key.lower() in _SECRET_KEYS else value for key, value in event.items()}

    def values(self, _logger: Any, _method: str, line: str) -> str:
        for value in self._values:
            line = line.replace(value, HIDDEN)
        return line


def secrets_of(config: Config) -> tuple[str, ...]:
    """Every secret value that the configuration holds, for hiding."""
    found: list[str] = []
    for wallet in config.wallets:
        if wallet.credentials is not None:
            found += [wallet.credentials.key.reveal(), wallet.credentials.secret.reveal()]
            found.append(wallet.credentials.passphrase.reveal())
    if config.http.token is not None:
        found.append(config.http.token.reveal())
    found += [url.partition("://")[2] for url in config.alerts.urls]
    found += [path for path in (url.partition("://")[2].partition("/")[2] for url in config.polygon.rpc_urls) if path]
    return tuple(found)


def set_up(config: Config, stream: TextIO | None = None) -> None:
    """Logs as ``[service] log_level`` and ``log_format`` say; ``auto`` is for people on a terminal, else JSON."""
    out = sys.stderr if stream is None else stream
    level = logging.getLevelNamesMapping()[config.service.log_level.upper()]
    people = config.service.log_format == "console" or (config.service.log_format == "auto" and out.isatty())
    hide = _Hide(secrets_of(config))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        hide.keys,
    ]
    render: list[Any] = _renderers(hide, colours=out.isatty()) if people else _json_renderers(hide)
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    _capture_logging(shared, render, level, out)


def _renderers(hide: _Hide, *, colours: bool) -> list[Any]:
    # The usual formatter of tracebacks shows the values of local variables, secrets among them.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="at", exception_formatter=plain), hide.values]


def _json_renderers(hide: _Hide) -> list[Any]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str), hide.values]


def _capture_logging(shared: Sequence[Any], render: Sequence[Any], level: int, out: TextIO) -> None:
    """Libraries' records, from WARNING on unless we debug."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(shared),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
