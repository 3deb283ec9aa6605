"""What is said during a cycle: timers, polls, snapshots, views' results. None of it is journaled (D-16)."""

from __future__ import annotations

import msgspec

from messages.addresses import Address
from portfolio.events import DriftFound
from portfolio.facts import Certificate
from portfolio.judging import ViewResult
from portfolio.outcomes import OperationsReport
from portfolio.views import MarketImage


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag="tick"):
    """The interval passed."""


class SyncAsked(msgspec.Struct, frozen=True, kw_only=True, tag="sync_asked"):
    """A cycle is wanted now: ``why`` is ``force``, ``fill`` or ``start``; joined to the next one (S-01)."""

    why: str
    request_id: str = ""


class CycleDeadline(msgspec.Struct, frozen=True, kw_only=True, tag="cycle_deadline"):
    """Nobody is waited for any longer in this cycle."""

    cycle_id: str


class PollTrades(msgspec.Struct, frozen=True, kw_only=True, tag="poll_trades"):
    """Read trades since the cursor and hand them to their markets."""

    cycle_id: str
    reply_to: Address


class PollDone(msgspec.Struct, frozen=True, kw_only=True, tag="poll_done"):
    """Every trade of the poll was handed on, but for those of ``unresolved`` conditions, which wait for metadata.

    ``certificate`` None: the poll failed, ``detail`` says how.
    """

    cycle_id: str
    certificate: Certificate | None
    detail: str
    new_legs: int
    unresolved: tuple[str, ...] = ()


class MarketsNeeded(msgspec.Struct, frozen=True, kw_only=True, tag="markets_needed"):
    """Trades name conditions that the directory does not know yet; they wait at the ingest."""

    condition_ids: tuple[str, ...]


class MarketsKnown(msgspec.Struct, frozen=True, kw_only=True, tag="markets_known"):
    """Directory entries (condition id, market id); ``unresolved`` are those whose metadata could not be had."""

    entries: tuple[tuple[str, str], ...]
    unresolved: tuple[str, ...] = ()


class SnapshotAsked(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot_asked"):
    """Every market answers with its image (S-02)."""

    cycle_id: str
    reply_to: Address


class ImageTaken(msgspec.Struct, frozen=True, kw_only=True, tag="image_taken"):
    """A market's answer."""

    cycle_id: str
    image: MarketImage


class ViewApplied(msgspec.Struct, frozen=True, kw_only=True, tag="view_applied"):
    """A market brought itself together with a view; ``result`` None: it could not, and halted (D-19)."""

    cycle_id: str
    result: ViewResult | None
    image: MarketImage


class CycleJudged(msgspec.Struct, frozen=True, kw_only=True, tag="cycle_judged"):
    """All markets have judged: the gate pauses where a drift calls for it and answers :class:`PausesKnown`."""

    cycle_id: str
    drifts: tuple[DriftFound, ...]


class PausesKnown(msgspec.Struct, frozen=True, kw_only=True, tag="pauses_known"):
    """The strategies that are paused after the cycle's drifts; they stand in its report."""

    cycle_id: str
    paused: tuple[str, ...]


class CycleDurable(msgspec.Struct, frozen=True, kw_only=True, tag="cycle_durable"):
    """The cycle's report is on disk; the cycle ends here (D-27)."""

    cycle_id: str
    report: OperationsReport
