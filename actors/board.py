"""What the actors show of themselves to readers in the same process: immutable values, one writer each, nobody asks.

The HTTP API, health and the live view read here; a value is at most one message old.
"""

from __future__ import annotations

import msgspec

from actors.streaming import StreamShown
from portfolio.cycle import ReferencePrice
from portfolio.facts import Balances
from portfolio.gate import GateState, Liveness
from portfolio.outcomes import CycleStatus, OperationsReport
from portfolio.views import MarketImage
from portfolio.wallet import WalletState


class SyncShown(msgspec.Struct, frozen=True, kw_only=True):
    """What a coordinator shows. ``clob_down_since_ms`` is None while the CLOB answers.

    ``prices`` are by token, as the last comparison used them at ``priced_at_ms``; those from metadata are as old as
    ``metadata_at_ms``.
    """

    wallet: WalletState
    report: OperationsReport | None = None
    completed_at_ms: int | None = None
    clob_down_since_ms: int | None = None
    rpc_up: bool = True
    data_api_up: bool = True
    images: tuple[MarketImage, ...] = ()
    prices: dict[str, ReferencePrice] = {}
    priced_at_ms: int = 0
    metadata_at_ms: int = 0
    balances: Balances | None = None


class ChainShown(msgspec.Struct, frozen=True, kw_only=True):
    """What the watcher shows of the chain (X-14); None where it is not known. ``detail``: why the last look failed."""

    head: int | None = None
    safe: int | None = None
    finalized: int | None = None
    followed: int | None = None
    at_ms: int = 0
    detail: str = ""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a cycle ended, as far as readers care. ``completed``: every market was compared."""

    report: OperationsReport
    completed: bool
    data_api_up: bool
    images: tuple[MarketImage, ...]
    at_ms: int


def shown_after(shown: SyncShown, wallet: WalletState, ended: Ended) -> SyncShown:
    """What a coordinator shows after a cycle."""
    clob_up = ended.report.status is not CycleStatus.CLOB_UNAVAILABLE
    down_since = shown.clob_down_since_ms if shown.clob_down_since_ms is not None else ended.at_ms
    return msgspec.structs.replace(
        shown,
        wallet=wallet,
        report=ended.report,
        completed_at_ms=ended.at_ms if ended.completed else shown.completed_at_ms,
        clob_down_since_ms=None if clob_up else down_since,
        rpc_up=ended.report.block_number is not None,
        data_api_up=ended.data_api_up,
        images=ended.images,
    )


class GateShown(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate shows; with :class:`Liveness` it answers whether a strategy may trade."""

    state: GateState


class Board:
    """The values last shown, by wallet."""

    def __init__(self) -> None:
        self.sync: dict[str, SyncShown] = {}
        self.gate: dict[str, GateShown] = {}
        self.stream: dict[str, StreamShown] = {}
        self.chain = ChainShown()
        self.quarantined: tuple[str, ...] = ()
        self.lease_held = True

    def liveness(self, wallet: str, now_ms: int, sync_interval_ms: int, *, apply_without_rpc: bool) -> Liveness:
        """The facts that the trade gate judges (R-14)."""
        shown = self.sync.get(wallet)
        completed = shown.completed_at_ms if shown is not None else None
        images = shown.images if shown is not None else ()
        halted = tuple(image.market_id for image in images if image.halted)
        return Liveness(
            first_cycle_complete=shown is not None and shown.wallet.opened and completed is not None,
            completed_cycle_age_ms=None if completed is None else max(0, now_ms - completed),
            sync_interval_ms=sync_interval_ms,
            clob_up=shown is not None and shown.clob_down_since_ms is None,
            rpc_up=shown is not None and shown.rpc_up,
            data_api_up=shown is not None and shown.data_api_up,
            apply_without_rpc=apply_without_rpc,
            halted_markets=(*halted, *self.quarantined),
            lease_held=self.lease_held,
            short_markets=tuple(image.market_id for image in images if image.short),
        )
