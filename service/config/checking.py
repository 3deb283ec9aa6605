"""What spans several keys: locked values, wallets, strategies, and our own directory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from portfolio.thresholds import FindingLevel, ParameterFinding, Parameters, check_parameters
from service.config.credentials import prefix_of
from service.config.problems import Problem
from service.config.reading import Loc, Merged
from service.config.schema import RawConfig

SOCKET_PATH_MAX = 107
"""Bytes of the path of a UNIX socket, as the system allows."""

_SOCKET_NAME_BYTES = len("/control.sock")
_STRATEGY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class _Finding(msgspec.Struct, frozen=True):
    loc: Loc
    text: str
    code: str = ""


def findings(raw: RawConfig) -> tuple[ParameterFinding, ...]:
    """Everything to be said about the three governed parameters (R-07)."""
    milliseconds = raw.sync.sync_interval_s
    return check_parameters(
        Parameters(
            sync_interval_s=milliseconds // 1000 if milliseconds % 1000 == 0 else Decimal(milliseconds) / 1000,
            discrepancy_alert_micro=raw.sync.discrepancy_alert_usd,
            auto_pause_strategy_on_drift=raw.sync.auto_pause_strategy_on_drift,
            operator=raw.sync.operator,
            reason=raw.sync.reason,
        )
    )


def check(raw: RawConfig, merged: Merged, taken_out: frozenset[Loc], directory: Path) -> list[Problem]:
    """All problems between keys. ``taken_out`` have their problem already, so nothing more is said of them."""
    found = (*_locked(raw), *_wallets(raw), *_strategies(raw), *_directory(directory))
    return [
        _problem(finding, merged)
        for finding in found
        if not any(finding.loc[:length] in taken_out for length in range(1, len(finding.loc) + 1))
    ]


def _problem(finding: _Finding, merged: Merged) -> Problem:
    place, key = merged.place_of(finding.loc)
    return Problem(place=place, key=key, text=finding.text, code=finding.code)


def _locked(raw: RawConfig) -> Iterator[_Finding]:
    for finding in findings(raw):
        if finding.level is FindingLevel.REJECT:
            yield _Finding(("sync", finding.parameter), finding.text, str(finding.code))


def _wallets(raw: RawConfig) -> Iterator[_Finding]:
    names: dict[str, int] = {}
    addresses: dict[str, int] = {}
    for index, wallet in enumerate(raw.wallets):
        yield from _required(index, "name", wallet.name)
        yield from _required(index, "address", wallet.address)
        yield from _unique(index, "name", wallet.name, names.setdefault(prefix_of(wallet.name), index))
        yield from _unique(index, "address", wallet.address, addresses.setdefault(wallet.address.lower(), index))


def _required(index: int, key: str, value: str) -> Iterator[_Finding]:
    if not value:
        yield _Finding(("wallets", index, key), f"is missing; each [[wallets]] needs a {key}")


def _unique(index: int, key: str, value: str, first: int) -> Iterator[_Finding]:
    if value and first != index:
        text = f"is the same as that of wallets[{first}], was {value!r}; each wallet needs its own"
        yield _Finding(("wallets", index, key), text)


def _strategies(raw: RawConfig) -> Iterator[_Finding]:
    claimed: dict[str, str] = {}
    for strategy_id, strategy in raw.strategies.items():
        if not _STRATEGY.fullmatch(strategy_id):
            text = "is no strategy id: must be letters, digits, '.', '-' and '_', at most 64"
            yield _Finding(("strategies", strategy_id), text)
        for market in dict.fromkeys(strategy.markets):
            first = claimed.setdefault(market, strategy_id)
            if first != strategy_id:
                text = f"market {market} is under strategy {first!r} already; a market has one strategy, remove one"
                yield _Finding(("strategies", strategy_id, "markets"), text)


def _directory(directory: Path) -> Iterator[_Finding]:
    size = len(os.fsencode(directory))
    if size > SOCKET_PATH_MAX - _SOCKET_NAME_BYTES:
        text = (
            f"has {size} bytes, and a socket in it may have {SOCKET_PATH_MAX - _SOCKET_NAME_BYTES} before its name; "
            f"choose a shorter path than {directory}"
        )
        yield _Finding(("service", "state_dir"), text)
