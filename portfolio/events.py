"""Inputs of the transitions: what a market, a wallet's cycle book and the strategy gate are told.

Every event that changes a state is journaled as it was taken, with its stamp, and replayed through the same transition
(D-16, D-20). Events carry all that a decision depends on, settings included.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from portfolio.chain import ChainChange
from portfolio.facts import MarketMeta, OpenOrder, Receipt, Side, TokenIdCheck, TradeStatus
from portfolio.outcomes import OperationsReport
from portfolio.tail import ChainFact, DroppedBlock
from portfolio.trades import TradeLeg
from portfolio.views import ExternalView, TokenPrice


class MarketDefined(msgspec.Struct, frozen=True, kw_only=True, tag="market_defined"):
    """Metadata of conditions of this market (R-06, R-18). ``question_count`` is the chain's, where it was read.

    ``token_ids`` are what the contract says of the token ids of conditions that the market knows.
    """

    metas: tuple[MarketMeta, ...]
    question_count: int | None = None
    token_ids: tuple[TokenIdCheck, ...] = ()


class FillSeen(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="fill_seen"):
    """A leg of a trade was seen by ``feed``: ``stream``, ``poll``, ``backfill``, ``check``. Repetitions do no harm."""

    leg: TradeLeg
    feed: str


class OrderSeen(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="order_seen"):
    """An order of ours was seen by ``feed``, as it stood at ``at_ms`` by the exchange's clock (L-05, L-06)."""

    order: OpenOrder
    at_ms: int
    feed: str


class FillChecked(msgspec.Struct, frozen=True, kw_only=True, tag="fill_checked"):
    """A fill that is overdue was looked up again, on the exchange and on the chain (R-10).

    ``status`` is what the exchange says of the trade now, None where it does not show it; ``receipt`` what the chain
    says of its transaction, None where no hash is known or the chain could not be asked (``chain_asked`` False).
    """

    trade_id: str
    order_id: str
    status: TradeStatus | None
    receipt: Receipt | None
    chain_asked: bool
    ttl_ms: int


class OrderChecked(msgspec.Struct, frozen=True, kw_only=True, tag="order_checked"):
    """An order that shows more than its trades for too long was looked up; None: the exchange knows it no more.

    So was one that a log filled and that nobody of ours made, as far as was known (R-21). What its trades say has been
    told before; ``trades_missing``: it is ours, and names trades that the exchange did not show when asked for them.
    """

    order_id: str
    order: OpenOrder | None
    ttl_ms: int
    trades_missing: bool = False


class ChainSeen(msgspec.Struct, frozen=True, kw_only=True, tag="chain_seen"):
    """The chain's logs show changes of this market, in the chain's order; repetitions do no harm (X-01).

    ``final_block``: up to there blocks are final and were compared, so that nothing of them will be undone (R-31).
    ``prices`` are what shares that came by a transfer are carried at (R-13).
    """

    facts: tuple[ChainFact, ...]
    final_block: int
    prices: tuple[TokenPrice, ...] = ()


class ChainDropped(msgspec.Struct, frozen=True, kw_only=True, tag="chain_dropped"):
    """Other blocks have taken the place of these: what was booked from them is undone."""

    blocks: tuple[DroppedBlock, ...]


class TradeRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="trade_recorded"):
    """An operator records a purchase or sale that was made elsewhere (L-26). ``entry_id`` names it for good."""

    entry_id: str
    token_id: str
    side: Side
    size_micro: int
    price_micro: int
    operator: str
    reason: str


class EntryMarked(msgspec.Struct, frozen=True, kw_only=True, tag="entry_marked"):
    """An operator says that an inferred entry was an external trade (L-26), at ``price_micro`` where it is known."""

    entry_id: str
    price_micro: int | None
    operator: str
    reason: str


class MarketResumed(msgspec.Struct, frozen=True, kw_only=True, tag="market_resumed"):
    """An operator wants a halted market back; refused while its invariant still fails (R-29)."""

    operator: str
    reason: str


class EventRejected(msgspec.Struct, frozen=True, kw_only=True, tag="event_rejected"):
    """A transition raised on an event of ``kind``: it is not run again, the market halts and pages (D-19)."""

    kind: str
    detail: str


MarketEvent: TypeAlias = (
    MarketDefined
    | FillSeen
    | OrderSeen
    | FillChecked
    | OrderChecked
    | ChainSeen
    | ChainDropped
    | ExternalView
    | TradeRecorded
    | EntryMarked
    | MarketResumed
    | EventRejected
)


class WalletDefined(msgspec.Struct, frozen=True, kw_only=True, tag="wallet_defined"):
    """Who the wallet is: the funder's address, the API key's signer, and the signature type."""

    address: str
    signer_address: str
    signature_type: int


class MarketsRegistered(msgspec.Struct, frozen=True, kw_only=True, tag="markets_registered"):
    """The directory learned which market a condition belongs to: (condition id, market id, token ids) (D-01)."""

    entries: tuple[tuple[str, str, tuple[str, ...]], ...]


class PendingDrift(msgspec.Struct, frozen=True, kw_only=True):
    """Drift that a market already knows but that waits for a second look; a skipped cycle still pages on it (R-26)."""

    market_id: str
    drift_micro: int


class CycleClosed(msgspec.Struct, frozen=True, kw_only=True, tag="cycle_closed"):
    """A cycle ended, completed or skipped: one entry with its report and the digests of its certificates (D-16).

    ``orders_read_at_ms`` and ``capital_micro`` are None where this cycle proved nothing new about them.
    ``cash_pending_micro`` is unexplained cash that waits for a second look; ``cash_alone`` says that no difference of
    shares waited beside it. ``inflows`` are the deposits, withdrawals and rewards that the chain's logs show; they are
    in ``capital_micro``. ``logs_until``: when it closed, the logs up to that block were read and left nothing open; a
    later life of the process reads on from there. None: as far as the books were compared.
    """

    report: OperationsReport
    certificates: tuple[tuple[str, str, str], ...]
    orders_read_at_ms: int | None
    capital_micro: int | None
    cash_pending_micro: int
    pending: tuple[PendingDrift, ...]
    discrepancy_alert_micro: int = 10_000_000
    cash_alone: bool = False
    inflows: tuple[ChainChange, ...] = ()
    logs_until: int | None = None


WalletEvent: TypeAlias = WalletDefined | MarketsRegistered | CycleClosed


class CursorAdvanced(msgspec.Struct, frozen=True, kw_only=True, tag="cursor_advanced"):
    """All that the source showed up to ``value`` is handed on and durable (D-21)."""

    source: str
    value: str


IngestEvent: TypeAlias = CursorAdvanced


class GateConfigured(msgspec.Struct, frozen=True, kw_only=True, tag="gate_configured"):
    """The settings the gate decides by (D-16).

    ``strategies`` maps ids to market or condition ids; ``default`` takes what no other claims (D-25). ``operator`` and
    ``reason`` stand for a switched-off auto-pause (R-07).
    """

    auto_pause: bool
    operator: str
    reason: str
    strategies: tuple[tuple[str, tuple[str, ...]], ...]


class DriftFound(msgspec.Struct, frozen=True, kw_only=True, tag="drift_found"):
    """A cycle found drift above the critical line in a market (S-05). ``condition_ids`` are the legs concerned."""

    cycle_id: str
    market_id: str
    condition_ids: tuple[str, ...]
    drift_micro: int
    internal_size_micro: int
    clob_size_micro: int
    neg_risk: bool
    causes: tuple[str, ...]
    evidence: str
    onchain_reconciled: bool
    synced_at_ms: int


class StrategyPauseAsked(msgspec.Struct, frozen=True, kw_only=True, tag="strategy_pause_asked"):
    """An operator pauses a strategy."""

    strategy_id: str
    operator: str
    reason: str


class StrategyResumed(msgspec.Struct, frozen=True, kw_only=True, tag="strategy_resumed"):
    """An operator resumes a strategy by name (S-06); nothing resumes by itself."""

    strategy_id: str
    operator: str
    reason: str


class KillSwitchSet(msgspec.Struct, frozen=True, kw_only=True, tag="kill_switch_set"):
    """The kill switch is on (pauses are suppressed and recorded) or off (they apply unless reviewed) (S-07, R-28)."""

    active: bool
    operator: str
    reason: str


GateEvent: TypeAlias = GateConfigured | DriftFound | StrategyPauseAsked | StrategyResumed | KillSwitchSet

Event: TypeAlias = (
    MarketDefined
    | FillSeen
    | OrderSeen
    | FillChecked
    | OrderChecked
    | ChainSeen
    | ChainDropped
    | ExternalView
    | TradeRecorded
    | EntryMarked
    | MarketResumed
    | EventRejected
    | WalletDefined
    | MarketsRegistered
    | CycleClosed
    | CursorAdvanced
    | GateConfigured
    | DriftFound
    | StrategyPauseAsked
    | StrategyResumed
    | KillSwitchSet
)
"""Everything that may stand in a journal."""
