"""What one cycle has gathered so far, and whom it still waits for. Data of the coordinator; lives for one cycle."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable

import msgspec

from messages.cycle import PollDone
from messages.reads import (
    AgreementAnswer,
    Answer,
    BalancesAnswer,
    OrderAnswer,
    OrdersAnswer,
    PositionsAnswer,
    ReadBalances,
)
from portfolio.closing import Gathered
from portfolio.cycle import Plan
from portfolio.facts import Balances, Certificate, DataPosition, MarketMeta, OpenOrder, Source, TokenRef
from portfolio.judging import ViewResult
from portfolio.outcomes import CycleStatus
from portfolio.readings import Logs, Readings, tokens_to_read
from portfolio.thresholds import stale_limit_ms
from portfolio.views import MarketImage, OrderFate

LOGS_KEY = "logs"
AGREEMENT_KEY = "agreement"
NOT_FINAL = "; nothing is taken for final"

NOTED = {"markets": "", "refresh": "", LOGS_KEY: "; causes are inferred", AGREEMENT_KEY: NOT_FINAL}
"""Questions that a cycle goes on without an answer to, and what follows from it; both are noted (R-05)."""


class Stage(enum.Enum):
    """Where a cycle is; each ends when nobody is waited for any more."""

    SNAPSHOT = "snapshot"
    REFRESHED = "refreshed"
    PIN = "pin"
    WITNESSES = "witnesses"
    FOLLOW_UP = "follow_up"
    TOKENS = "tokens"
    IMAGES = "images"
    VIEWS = "views"
    JUDGE = "judge"
    CLOSING = "closing"


class Cycle:
    """One cycle. ``clob_failure``, ``rpc_failure``, ``data_failure`` are sentences; empty: the source answered."""

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
        self.positions_block: int | None = None
        self.orders: tuple[OpenOrder, ...] | None = None
        self.orders_read_at_ms = 0
        self.orders_reread = False
        self.refreshed = False
        self.fates: list[OrderFate] = []
        self.logs: Logs | None = None
        self.agreed = True
        self.poll: PollDone | None = None
        self.conditions_seen: set[str] = set()
        self.certificates: list[Certificate] = []
        self.clob_failure = ""
        self.rpc_failure = ""
        self.data_failure = ""
        self.stale = ""
        self.notes: list[str] = []
        self.plan: Plan | None = None
        self.results: list[ViewResult] = []
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

    @property
    def completed(self) -> bool:
        """Whether every market was compared."""
        return not self.refused and self.plan is not None

    @property
    def status(self) -> CycleStatus:
        """The label of the cycle (R-01)."""
        if self.clob_failure:
            return CycleStatus.CLOB_UNAVAILABLE
        if self.stale:
            return CycleStatus.STALE
        if self.balances is None:
            return CycleStatus.RPC_UNAVAILABLE
        return CycleStatus.DATA_API_UNAVAILABLE if self.positions is None else CycleStatus.OK

    def unavailable(self, key: str, source: Source, detail: str) -> None:
        """A source did not answer in a way that may be believed: unknown, never empty."""
        sentence = f"{source.value}: {detail}"
        if key in {"balances", "tokens"}:
            self.rpc_failure = sentence
            self.balances = None
        elif key == "positions":
            self.data_failure = sentence
        elif key in NOTED:
            self.notes.append(sentence + NOTED[key])
        else:
            self.clob_failure = self.clob_failure or sentence

    def believe(self, answer: Answer, certificate: Certificate) -> None:
        """Take in the rows of a complete answer."""
        match answer:
            case BalancesAnswer(balances=balances):
                self.balances = balances if self.balances is None else _merged(self.balances, balances)
            case PositionsAnswer(positions=positions):
                self.positions = positions
                self.positions_block = certificate.block_number
            case OrdersAnswer(orders=orders):
                self.orders = orders
                self.orders_read_at_ms = certificate.started_at_ms
            case OrderAnswer(order_id=order_id, order=order):
                self.fates.append(OrderFate(order_id=order_id, order=order))
                if order is not None and order.status.live:
                    self.clob_failure = f"the list of open orders lacked {order_id}, which is live: it was partial"
            case _:
                self.notes.append(f"an answer of kind {type(answer).__name__} was not asked for")

    def agree(self, answer: AgreementAnswer) -> None:
        """What several RPC endpoints say of the pinned block: its balances count only where none contradicts (X-14)."""
        self.agreed = answer.waived or len(answer.agreeing) > 1
        if answer.disagreed:
            told = "; ".join(f"endpoint {place}: {reason}" for place, reason in answer.differing)
            self.unavailable("balances", Source.CHAIN_AGREEMENT, f"block {answer.block_number}, {told}")
        elif not self.agreed:
            told = "; ".join(f"endpoint {place}: {reason}" for place, reason in answer.silent)
            self.unavailable(AGREEMENT_KEY, Source.CHAIN_AGREEMENT, told)

    def give_up(self) -> None:
        """Wait for nobody any longer; what did not answer is named."""
        waited = ", ".join(sorted(self.awaiting)[:5])
        self.stale = self.stale or f"the cycle's deadline passed at stage {self.stage.value}: {waited}"
        self.awaiting = set()

    def judge_age(self, now_ms: int, sync_interval_ms: int) -> None:
        """Data older than the limit skips the cycle: the chain by block time, orders by request start (S-13, R-27)."""
        limit_ms = stale_limit_ms(sync_interval_ms)
        ages = {"the list of open orders": now_ms - self.orders_read_at_ms if self.orders is not None else 0}
        if self.balances is not None:
            ages["the chain's head"] = now_ms - self.balances.block_time_ms
        for name, age_ms in ages.items():
            if age_ms > limit_ms:
                self.stale = f"{name} is {age_ms} ms old, the limit is {limit_ms} ms"

    def judge_stand_in(self, reconciled_block: int | None) -> None:
        """In the chain's place the Data API must not be behind what the chain showed before: that is history (L-16)."""
        if self.balances is not None or self.positions is None or reconciled_block is None:
            return
        if self.positions_block is None or self.positions_block < reconciled_block:
            at = "an unknown block" if self.positions_block is None else f"block {self.positions_block}"
            sentence = f"it is at {at}, the books were compared with the chain at block {reconciled_block}"
            self.unavailable("positions", Source.DATA_POSITIONS, sentence)
            self.positions = None

    def unknown_conditions(self, known: Collection[str]) -> tuple[str, ...]:
        """Conditions of orders, positions and trades for which no metadata could be had."""
        waiting = self.poll.unresolved if self.poll is not None else ()
        return tuple(sorted({*self.conditions_seen, *waiting} - {*known}))

    def skips(self, *, apply_without_rpc: bool) -> bool:
        """Whether nothing may be compared: without the chain that needs the stand-in and its policy (R-01)."""
        has_positions = self.balances is not None or (apply_without_rpc and self.positions is not None)
        return self.refused or not has_positions

    def pinning_read(self, wallet: str) -> ReadBalances:
        """Pin a block; read all known balances, payouts of what is held or ordered, question counts at it (D-09)."""
        images = self.images.values()
        held = {token.condition_id for image in images for token in image.tokens if token.shares_micro or token.pending}
        held |= {order.condition_id for image in images for order in image.orders}
        return ReadBalances(
            wallet=wallet,
            tokens=self._token_refs(),
            payouts_of=tuple(sorted(held)),
            question_counts_of=tuple(sorted(image.market_id for image in images if image.neg_risk)),
        )

    def new_tokens_read(self, wallet: str, metas: Iterable[MarketMeta]) -> ReadBalances | None:
        """A second balance call at the same block for tokens first seen in this cycle, if there are any (D-09)."""
        if self.balances is None:
            return None
        read = {balance.token_id for balance in self.balances.tokens}
        known = {ref.token_id: ref for ref in (*self._token_refs(), *tokens_to_read(metas))}
        new = tuple(known[token_id] for token_id in sorted(known) if token_id not in read)
        if not new:
            return None
        return ReadBalances(
            wallet=wallet, tokens=new, block_number=self.balances.block_number, block_hash=self.balances.block_hash
        )

    def _token_refs(self) -> tuple[TokenRef, ...]:
        refs = {
            token.token_id: TokenRef(contract=token.contract, token_id=token.token_id)
            for image in self.images.values()
            for token in image.tokens
        }
        return tuple(refs[token_id] for token_id in sorted(refs))

    def sorted_images(self) -> tuple[MarketImage, ...]:
        """The images by market id."""
        return tuple(self.images[market_id] for market_id in sorted(self.images))

    def readings(self) -> Readings:
        """What the witnesses said, for the plan."""
        return Readings(
            balances=self.balances,
            positions=self.positions,
            orders=self.orders or (),
            orders_read_at_ms=self.orders_read_at_ms,
            fates=tuple(self.fates),
            logs=self.logs,
        )


def gathered(running: Cycle, now_ms: int, discrepancy_alert_micro: int) -> Gathered:
    """All that the closing depends on."""
    failures = (running.clob_failure, running.stale, running.rpc_failure, running.data_failure)
    return Gathered(
        cycle_id=running.cycle_id,
        synced_at_ms=running.synced_at_ms,
        duration_ms=max(0, now_ms - running.started_at_ms),
        status=running.status,
        reasons=(*(failure for failure in failures if failure), *running.notes),
        images=running.sorted_images(),
        results=tuple(sorted(running.results, key=lambda result: result.market_id)),
        plan=running.plan if running.completed else None,
        block_number=running.balances.block_number if running.balances is not None else None,
        orders_read_at_ms=running.orders_read_at_ms or None,
        certificates=tuple(running.certificates),
        paused=running.paused,
        discrepancy_alert_micro=discrepancy_alert_micro,
    )


def _merged(first: Balances, second: Balances) -> Balances:
    """Two readings at the same block are one."""
    return msgspec.structs.replace(
        first, tokens=(*first.tokens, *second.tokens), payouts=(*first.payouts, *second.payouts)
    )
