"""What a transition decided, as values: the rows it wants written and the words it wants said.

A transition returns outcomes and does nothing else. ``storage.projections`` maps each to its table; the reporter says
alerts and metrics after they are durable (D-18). Amounts are integers of 1e-6, times ms UTC.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec

from portfolio.entries import Cause, FillState
from portfolio.facts import OrderStatus, Role, Side, TradeStatus


class DeltaType(enum.StrEnum):
    """How a subject changed when two views of it were brought together (S-03)."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    UPDATED = "UPDATED"
    NO_CHANGE = "NO_CHANGE"


class Subject(enum.StrEnum):
    """What of a market is compared (R-03)."""

    POSITION = "position"
    OPEN_ORDERS = "open_orders"


class CycleStatus(enum.StrEnum):
    """How a cycle ended; the label of the cycles metric (R-01). ``aborted`` is written after a crash (D-11 d)."""

    OK = "ok"
    CLOB_UNAVAILABLE = "clob_unavailable"
    RPC_UNAVAILABLE = "rpc_unavailable"
    STALE = "stale"
    DATA_API_UNAVAILABLE = "data_api_unavailable"
    LEASE_LOST = "lease_lost"
    ABORTED = "aborted"


class Severity(enum.StrEnum):
    """How loud: INFO is a record, WARN is an alert, HARD_REJECT refuses."""

    INFO = "INFO"
    WARN = "WARN"
    HARD_REJECT = "HARD_REJECT"


class IssueAction(enum.StrEnum):
    """What was done about a finding (L-22)."""

    CORRECTED = "CORRECTED"
    LOGGED = "LOGGED"
    REQUIRES_MANUAL = "REQUIRES_MANUAL"


class _Row(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="row"):
    """``wallet`` is the configured name."""

    wallet: str


class WalletRow(_Row, frozen=True, kw_only=True, tag="wallet"):
    """Table ``wallets``; key wallet."""

    address: str
    signer_address: str
    signature_type: int
    updated_at_ms: int


class MarketRow(_Row, frozen=True, kw_only=True, tag="market"):
    """Table ``markets``; one row per condition, key (wallet, condition_id)."""

    condition_id: str
    market_id: str
    title: str
    slug: str
    neg_risk: bool
    neg_risk_claimed: bool | None
    neg_risk_market_id: str | None
    question_index: int | None
    closed: bool
    halted: bool
    halt_reason: str
    updated_at_ms: int


class TokenRow(_Row, frozen=True, kw_only=True, tag="token"):
    """Table ``tokens``; key (wallet, token_id)."""

    token_id: str
    condition_id: str
    market_id: str
    outcome: str
    outcome_index: int
    contract: str


class PositionRow(_Row, frozen=True, kw_only=True, tag="position"):
    """Table ``positions``; key (wallet, token_id). Zero positions stay: nothing is deleted, dust is kept (L-29)."""

    token_id: str
    condition_id: str
    market_id: str
    outcome: str
    shares_micro: int
    settled_micro: int
    in_flight_micro: int
    cost_basis_micro: int
    realized_pnl_micro: int
    fees_micro: int
    neg_risk: bool
    version: int
    updated_at_ms: int


class OrderRow(_Row, frozen=True, kw_only=True, tag="order"):
    """Table ``orders``; key (wallet, order_id). Closed, never deleted (L-06)."""

    order_id: str
    market_id: str
    condition_id: str
    token_id: str
    side: Side
    price_micro: int
    original_size_micro: int
    size_matched_micro: int
    status: OrderStatus
    owner: str
    order_type: str
    created_at_ms: int
    first_seen_at_ms: int
    closed_at_ms: int | None
    ended_because: str


class FillRow(_Row, frozen=True, kw_only=True, tag="fill"):
    """Table ``fills``; key (wallet, trade_id, order_id): a fill is there once (L-01).

    The row of trade id ``provisional`` shows what its order's figure has beyond the trades seen (D-03). It is a notice:
    the shares and cost it stands for are booked as RESTATED adjustments, in both directions.
    """

    trade_id: str
    order_id: str
    market_id: str
    condition_id: str
    token_id: str
    side: Side
    role: Role
    price_micro: int
    size_micro: int
    amount_micro: int
    fee_micro: int
    realized_pnl_micro: int
    state: FillState
    external: bool
    owner: str
    transaction_hash: str | None
    settled_by: str
    fee_rate_micro: int | None
    fee_exponent: int | None
    matched_at_ns: int
    matched_at_ms: int
    booked_at_ms: int
    updated_at_ms: int


class FillObservationRow(_Row, frozen=True, kw_only=True, tag="fill_observation"):
    """Table ``fill_observations``: each status in which a fill was seen, and by which feed; key all but ``at_ms``."""

    trade_id: str
    order_id: str
    status: TradeStatus
    feed: str
    at_ms: int


class AdjustmentRow(_Row, frozen=True, kw_only=True, tag="adjustment"):
    """Table ``adjustments``; one row per token leg of an entry, key (wallet, entry_id, token_id).

    ``size_micro`` is signed, and so is ``fee_micro``: the fee of an external trade, which goes with it where another
    entry takes its place (D-12). ``operator`` and ``reason`` are set where a person made the entry (L-26, X-12).
    """

    entry_id: str
    market_id: str
    condition_id: str
    token_id: str
    cause: Cause
    size_micro: int
    cost_micro: int
    proceeds_micro: int
    realized_pnl_micro: int
    fee_micro: int = 0
    estimated: bool
    evidence: str
    operator: str = ""
    reason: str = ""
    economic_at_ms: int
    at_ms: int


class IssueRow(_Row, frozen=True, kw_only=True, tag="issue"):
    """Table ``integrity_issues`` (L-22, R-32); key (wallet, type, subject, at_ms).

    ``subject`` is a token or order id.
    """

    type: str
    severity: Severity
    action: IssueAction
    market_id: str
    subject: str
    before: str
    after: str
    cause: str
    cycle_id: str
    at_ms: int


class SettlementReport(_Row, frozen=True, kw_only=True, tag="settlement_report"):
    """Table ``settlement_reports`` (S-08, R-25, D-24); ``reports.render_settlement`` gives the document's form.

    Key (wallet, market_id, synced_at_ms, subject, event_type).
    """

    bot_id: str
    event_type: str
    market_id: str
    delta_type: DeltaType
    internal_size_micro: int
    clob_size_micro: int
    drift_micro: int
    neg_risk: bool
    action_taken: str
    synced_at_ms: int
    subject: Subject
    cause: str
    evidence: str
    onchain_reconciled: bool
    strategy_id: str = ""
    cycle_id: str = ""


class NegRiskAggregate(msgspec.Struct, frozen=True, kw_only=True):
    """One neg-risk event in an operations report (R-06): both totals, so that nothing is undercounted in silence."""

    market_id: str
    size_micro: int
    independent_size_micro: int
    guaranteed_if_one_wins_micro: int
    worst_case_micro: int
    releasable_micro: int
    event_drift_micro: int
    flag_mismatch: bool


class OperationsReport(_Row, frozen=True, kw_only=True, tag="operations_report"):
    """Table ``operations_reports``; one per cycle, skipped ones too; key (wallet, cycle_id).

    ``reports.render_operations`` gives the document's form.
    """

    bot_id: str
    cycle_id: str
    event_type: str
    status: CycleStatus
    total_positions: int
    synced_count: int
    discrepancy_count: int
    delta_count: int
    deltas_by_type: tuple[tuple[DeltaType, int], ...]
    pending_count: int
    drift_max_micro: int
    neg_risk_positions: int
    neg_risk: tuple[NegRiskAggregate, ...]
    paused_strategies: tuple[str, ...]
    onchain_balance_micro: int | None
    cash_unexplained_micro: int | None
    onchain_reconciled: bool
    block_number: int | None
    reasons: tuple[str, ...]
    sync_duration_ms: int
    synced_at_ms: int


class StrategyRow(_Row, frozen=True, kw_only=True, tag="strategy"):
    """Table ``strategies``; key (wallet, strategy_id)."""

    strategy_id: str
    paused: bool
    pause_reason: str
    paused_at_ms: int | None
    updated_at_ms: int


class StrategyEventRow(_Row, frozen=True, kw_only=True, tag="strategy_event"):
    """Table ``strategy_events``: pauses, suppressed pauses, resumes and kill-switch changes; key all columns."""

    strategy_id: str
    event: str
    market_id: str
    operator: str
    reason: str
    at_ms: int


class CursorRow(_Row, frozen=True, kw_only=True, tag="cursor"):
    """Table ``cursors``; key (wallet, source). Moves only when all it covers is durable (D-21)."""

    source: str
    value: str
    at_ms: int


class Alert(_Row, frozen=True, kw_only=True, tag="alert"):
    """Said by the reporter once durable, at least once, with ``key`` to recognise repetitions (D-18).

    ``route`` is ``log``, ``warn`` or ``page``. ``text`` is for people, one sentence with units.
    """

    key: str
    code: str
    severity: Severity
    route: str
    market_id: str
    strategy_id: str = ""
    drift_micro: int | None = None
    text: str
    at_ms: int


Outcome: TypeAlias = (
    WalletRow
    | MarketRow
    | TokenRow
    | PositionRow
    | OrderRow
    | FillRow
    | FillObservationRow
    | AdjustmentRow
    | IssueRow
    | SettlementReport
    | OperationsReport
    | StrategyRow
    | StrategyEventRow
    | CursorRow
    | Alert
)
