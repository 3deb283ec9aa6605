"""What one cycle has gathered so far, and whom it still waits for. Data of the coordinator; lives for one cycle."""

from __future__ import annotations

import enum

from messages.cycle import PollDone
from portfolio.cycle import Plan
from portfolio.events import DriftFound
from portfolio.facts import Balances, Certificate, DataPosition, OpenOrder
from portfolio.judging import ViewResult
from portfolio.views import MarketImage, OrderFate


class Stage(enum.Enum):
    """Where a cycle is; each ends when nobody is waited for any more."""

    SNAPSHOT = "snapshot"
    PIN = "pin"
    WITNESSES = "witnesses"
    FOLLOW_UP = "follow_up"
    TOKENS = "tokens"
    IMAGES = "images"
    VIEWS = "views"
    JUDGE = "judge"
    CLOSING = "closing"


class Cycle:
    """One cycle. ``clob_failure``, ``rpc_failure`` and ``data_failure`` are sentences; empty means the source answered."""

    def __init__(self, cycle_id: str, synced_at_ms: int, started_at_ms: int, *, forced: bool) -> None:
        self.cycle_id = cycle_id
        self.synced_at_ms = synced_at_ms
        self.started_at_ms = started_at_ms
        self.forced = forced
        self.stage = Stage.SNAPSHOT
        self.awaiting: set[str] = set()
        self.images: dict[str, MarketImage] = {}
        self.balances: Balances | None = None
        self.positions: tuple[DataPosition, ...] | None = None
        self.orders: tuple[OpenOrder, ...] | None = None
        self.orders_read_at_ms = 0
        self.orders_reread = False
        self.fates: list[OrderFate] = []
        self.poll: PollDone | None = None
        self.certificates: list[Certificate] = []
        self.clob_failure = ""
        self.rpc_failure = ""
        self.data_failure = ""
        self.stale = ""
        self.notes: list[str] = []
        self.plan: Plan | None = None
        self.results: list[ViewResult] = []
        self.drifts: list[DriftFound] = []
        self.paused: tuple[str, ...] = ()

    def correlation(self, key: str) -> str:
        """Names a question of this cycle; answers to another cycle's are dropped by it."""
        return f"{self.cycle_id}|{key}"

    def key_of(self, correlation: str) -> str | None:
        """The question that an answer belongs to; None when it is late or of another cycle."""
        cycle_id, _, key = correlation.partition("|")
        return key if cycle_id == self.cycle_id and key in self.awaiting else None

    @property
    def refused(self) -> bool:
        """Whether the cycle must change nothing (S-11, S-13)."""
        return bool(self.clob_failure or self.stale)
