"""Logical addresses: who an actor is, whichever process or restart it lives in.

An actor reference or a random id never enters a message, so that a journal replays anywhere.
"""

from __future__ import annotations

from typing import NewType

Address = NewType("Address", str)

WRITER = Address("writer")
REPORTER = Address("reporter")
SUPERVISOR = Address("supervisor")
WATCHER = Address("watcher")
"""Of the one chain that all wallets of a process are on."""


def market_address(wallet: str, market_id: str) -> Address:
    """The owner of one market's state (D-01)."""
    return Address(f"market:{wallet}/{market_id}")


def coordinator_address(wallet: str) -> Address:
    """The wallet's SyncCoordinator."""
    return Address(f"coordinator:{wallet}")


def ingest_address(wallet: str) -> Address:
    """The wallet's FillIngestActor."""
    return Address(f"ingest:{wallet}")


def gate_address(wallet: str) -> Address:
    """The wallet's StrategyGate."""
    return Address(f"gate:{wallet}")


def kind_of(address: str) -> str:
    """``market``, ``coordinator``, ``ingest``, ``gate``, or the name of a process-wide actor."""
    return address.partition(":")[0]


def wallet_of(address: str) -> str:
    """Wallet name of a per-wallet address, which is also its journal stream (D-17); empty for process-wide actors."""
    return address.partition(":")[2].partition("/")[0]


def market_of(address: str) -> str:
    """Market id of a market's address."""
    return address.partition("/")[2]
