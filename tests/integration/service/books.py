"""A small stored state, written through the ledger as the service writes it, and a fake of the running process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from messages.control import Answer, Command
from portfolio.facts import OrderStatus
from portfolio.gate import TradeGate
from service.api import Mark, ServiceUnavailable, SourceState
from service.cli import main
from service.health import HealthFacts
from storage.database import Database, open_database, open_readonly
from storage.lease import Leases
from storage.ledger import Ledger
from storage.queries import Queries
from tests.integration.storage import samples

ZERO_TOKEN = "99"
"""A token whose position is zero."""


def stored(folder: Path, *more: Any) -> str:
    """The URL of a database with one row of each kind, a zero position, a closed order, and ``more``."""
    url = f"sqlite:///{folder}/books.db"
    database = open_database(url, owner="test", now_ms=samples.AT_MS)
    try:
        ledger = Ledger(database)
        ledger.hold(Leases(database).acquire(samples.STREAM, "test", samples.AT_MS))
        ledger.commit([samples.decision(*samples.EVERY_KIND, _zero(), _closed(), *more)])
    finally:
        database.close()
    return url


def _zero() -> Any:
    return samples.position(token_id=ZERO_TOKEN, shares_micro=0, settled_micro=0, in_flight_micro=0, outcome="No")


def _closed() -> Any:
    return samples.order(order_id="0xclosed", status=OrderStatus.CANCELED, closed_at_ms=samples.AT_MS)


def configured(folder: Path, text: str = "") -> Path:
    """A configuration file for that state; the wallet is there, the credentials are not."""
    file = folder / "portfolio-sync.toml"
    file.write_text(
        f'[service]\nstate_dir = "{folder}/state"\n[storage]\nurl = "sqlite:///{folder}/books.db"\n'
        f'[statsd]\nhost = ""\n[[wallets]]\nname = "main"\naddress = "0x{"a1" * 20}"\n{text}',
        encoding="utf-8",
    )
    return file


class FakeProcess:
    """Answers as told and remembers what it was asked."""

    def __init__(self, url: str) -> None:
        self.database: Database = open_readonly(url)
        self.commands: list[Command] = []
        self.refusal = ""
        self.body = b"[1]"
        self.facts = HealthFacts(sync_interval_ms=30_000, cycle_age_ms=1_000)
        self.cycle: dict[str, Any] = {
            "operations_report": {
                "status": "ok",
                "discrepancy_count": 0,
                "drift_pusd_max": 0,
                "reasons": [],
                "synced_at_ms": samples.AT_MS,
            },
            "settlement_reports": [],
            "issues": [],
        }
        self.stopping = False
        self.reload_error: Exception | None = None

    def command(self, command: Command) -> Answer:
        self._require_running()
        self.commands.append(command)
        detail = self.refusal or "done"
        return Answer(request_id=command.request_id, ok=not self.refusal, detail=detail, body=self.body)

    def force_sync(self) -> dict[str, Any]:
        self._require_running()
        return self.cycle

    def describe(self) -> dict[str, Any]:
        return {"gate:main": {"paused": {}}}

    def health(self) -> HealthFacts:
        return self.facts

    def gate(self, strategy_id: str) -> TradeGate | None:
        return next((gate for gate in self.gates() if gate.strategy_id == strategy_id), None)

    def gates(self) -> tuple[TradeGate, ...]:
        return (TradeGate(strategy_id="default", allowed=False, reasons=("paused: drift",)),)

    def sources(self) -> tuple[SourceState, ...]:
        return (SourceState(name="clob", up=True, last_ok_at_ms=samples.AT_MS),)

    def marks(self) -> dict[str, Mark]:
        return {samples.TOKEN: Mark(price_micro=550_000, source="data_api", at_ms=samples.AT_MS)}

    def kill_switch(self) -> bool:
        return True

    def strategy_map(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return (("maker", (samples.CONDITION,)), ("default", ()))

    def queries(self) -> Queries:
        return Queries(self.database)

    def reload_config(self) -> dict[str, Any]:
        if self.reload_error is not None:
            raise self.reload_error
        return {"applied": True}

    def _require_running(self) -> None:
        if self.stopping:
            raise ServiceUnavailable("the process is stopping; ask again once it runs")


def fields(record: dict[str, Any]) -> set[str]:
    """Names of a record's fields."""
    return set(record)


def decoded(text: str | bytes) -> Any:
    """JSON without floats for integers."""
    return msgspec.json.decode(text)


def json_of(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    """The one JSON document that a command prints, with that exit code."""
    assert main([str(argument) for argument in arguments]) == code
    return decoded(capsys.readouterr().out)
