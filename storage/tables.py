"""The tables as peewee models: those that others read, with fixed names (D-23), and our own, prefixed ``_``.

Amounts are integers of 1e-6 with the unit in the column's name, times are ms UTC, ids are text. A model's columns are
the fields of the outcome it stores (``projections`` maps by name). Which statements *made* the tables stands in
``migrations``; a test compares the two. The models are bound to no database: queries name theirs.
"""

from __future__ import annotations

import peewee as pw


class Row(pw.Model):
    """Base of all tables; no surrogate keys, no database of its own."""

    class Meta:
        primary_key = False
        legacy_table_names = False


class Wallets(Row):
    """Configured wallets."""

    wallet = pw.TextField()
    address = pw.TextField()
    signer_address = pw.TextField()
    signature_type = pw.BigIntegerField()
    updated_at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "wallets"
        primary_key = pw.CompositeKey("wallet")


class Markets(Row):
    """One row per condition; ``market_id`` groups the questions of a neg-risk market (D-01)."""

    wallet = pw.TextField()
    condition_id = pw.TextField()
    market_id = pw.TextField()
    title = pw.TextField()
    slug = pw.TextField()
    neg_risk = pw.BooleanField()
    neg_risk_claimed = pw.BooleanField(null=True)
    neg_risk_market_id = pw.TextField(null=True)
    question_index = pw.BigIntegerField(null=True)
    closed = pw.BooleanField()
    halted = pw.BooleanField()
    halt_reason = pw.TextField()
    updated_at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "markets"
        primary_key = pw.CompositeKey("wallet", "condition_id")


class Tokens(Row):
    """Outcome tokens and the contract that owns their balances (R-18)."""

    wallet = pw.TextField()
    token_id = pw.TextField()
    condition_id = pw.TextField()
    market_id = pw.TextField()
    outcome = pw.TextField()
    outcome_index = pw.BigIntegerField()
    contract = pw.TextField()

    class Meta:
        table_name = "tokens"
        primary_key = pw.CompositeKey("wallet", "token_id")


class Positions(Row):
    """What is held, at what cost; zero positions stay (L-29)."""

    wallet = pw.TextField()
    token_id = pw.TextField()
    condition_id = pw.TextField()
    market_id = pw.TextField()
    outcome = pw.TextField()
    shares_micro = pw.BigIntegerField()
    settled_micro = pw.BigIntegerField()
    in_flight_micro = pw.BigIntegerField()
    cost_basis_micro = pw.BigIntegerField()
    realized_pnl_micro = pw.BigIntegerField()
    fees_micro = pw.BigIntegerField()
    neg_risk = pw.BooleanField()
    version = pw.BigIntegerField()
    updated_at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "positions"
        primary_key = pw.CompositeKey("wallet", "token_id")


class Orders(Row):
    """Orders; closed, never deleted (L-06)."""

    wallet = pw.TextField()
    order_id = pw.TextField()
    market_id = pw.TextField()
    condition_id = pw.TextField()
    token_id = pw.TextField()
    side = pw.TextField()
    price_micro = pw.BigIntegerField()
    original_size_micro = pw.BigIntegerField()
    size_matched_micro = pw.BigIntegerField()
    status = pw.TextField()
    owner = pw.TextField()
    order_type = pw.TextField()
    created_at_ms = pw.BigIntegerField()
    first_seen_at_ms = pw.BigIntegerField()
    closed_at_ms = pw.BigIntegerField(null=True)
    ended_because = pw.TextField()

    class Meta:
        table_name = "orders"
        primary_key = pw.CompositeKey("wallet", "order_id")


class Fills(Row):
    """Fills, each once (L-01); the state moves, the rest stays."""

    wallet = pw.TextField()
    trade_id = pw.TextField()
    order_id = pw.TextField()
    market_id = pw.TextField()
    condition_id = pw.TextField()
    token_id = pw.TextField()
    side = pw.TextField()
    role = pw.TextField()
    price_micro = pw.BigIntegerField()
    size_micro = pw.BigIntegerField()
    amount_micro = pw.BigIntegerField()
    fee_micro = pw.BigIntegerField()
    realized_pnl_micro = pw.BigIntegerField()
    state = pw.TextField()
    external = pw.BooleanField()
    owner = pw.TextField()
    transaction_hash = pw.TextField(null=True)
    settled_by = pw.TextField()
    fee_rate_micro = pw.BigIntegerField(null=True)
    fee_exponent = pw.BigIntegerField(null=True)
    matched_at_ns = pw.BigIntegerField()
    matched_at_ms = pw.BigIntegerField()
    booked_at_ms = pw.BigIntegerField()
    updated_at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "fills"
        primary_key = pw.CompositeKey("wallet", "trade_id", "order_id")


class FillObservations(Row):
    """Each status in which a feed showed a fill, with the time it was first seen so."""

    wallet = pw.TextField()
    trade_id = pw.TextField()
    order_id = pw.TextField()
    status = pw.TextField()
    feed = pw.TextField()
    at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "fill_observations"
        primary_key = pw.CompositeKey("wallet", "trade_id", "order_id", "status", "feed")


class Adjustments(Row):
    """Changes of inventory other than by own fills, one row per token leg (L-13, L-14)."""

    wallet = pw.TextField()
    entry_id = pw.TextField()
    market_id = pw.TextField()
    condition_id = pw.TextField()
    token_id = pw.TextField()
    cause = pw.TextField()
    size_micro = pw.BigIntegerField()
    cost_micro = pw.BigIntegerField()
    proceeds_micro = pw.BigIntegerField()
    realized_pnl_micro = pw.BigIntegerField()
    fee_micro = pw.BigIntegerField()
    estimated = pw.BooleanField()
    evidence = pw.TextField()
    operator = pw.TextField()
    reason = pw.TextField()
    economic_at_ms = pw.BigIntegerField()
    at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "adjustments"
        primary_key = pw.CompositeKey("wallet", "entry_id", "token_id")


class SettlementReports(Row):
    """Settlement reports (S-08): what they are found by, the document, and until when it is kept (R-09)."""

    wallet = pw.TextField()
    market_id = pw.TextField()
    synced_at_ms = pw.BigIntegerField()
    subject = pw.TextField()
    event_type = pw.TextField()
    delta_type = pw.TextField()
    internal_size_micro = pw.BigIntegerField()
    clob_size_micro = pw.BigIntegerField()
    drift_micro = pw.BigIntegerField()
    neg_risk = pw.BooleanField()
    action_taken = pw.TextField()
    cause = pw.TextField()
    evidence = pw.TextField()
    onchain_reconciled = pw.BooleanField()
    strategy_id = pw.TextField()
    cycle_id = pw.TextField()
    document = pw.TextField()
    retained_until_ms = pw.BigIntegerField()

    class Meta:
        table_name = "settlement_reports"
        primary_key = pw.CompositeKey("wallet", "market_id", "synced_at_ms", "subject", "event_type")


class OperationsReports(Row):
    """Operations reports, one per cycle: what they are found by, the document, and until when it is kept (R-09)."""

    wallet = pw.TextField()
    cycle_id = pw.TextField()
    synced_at_ms = pw.BigIntegerField()
    event_type = pw.TextField()
    status = pw.TextField()
    total_positions = pw.BigIntegerField()
    synced_count = pw.BigIntegerField()
    discrepancy_count = pw.BigIntegerField()
    delta_count = pw.BigIntegerField()
    pending_count = pw.BigIntegerField()
    drift_max_micro = pw.BigIntegerField()
    neg_risk_positions = pw.BigIntegerField()
    onchain_balance_micro = pw.BigIntegerField(null=True)
    cash_unexplained_micro = pw.BigIntegerField(null=True)
    onchain_reconciled = pw.BooleanField()
    block_number = pw.BigIntegerField(null=True)
    sync_duration_ms = pw.BigIntegerField()
    document = pw.TextField()
    retained_until_ms = pw.BigIntegerField()

    class Meta:
        table_name = "operations_reports"
        primary_key = pw.CompositeKey("wallet", "cycle_id")


class IntegrityIssues(Row):
    """Findings (L-22). ``digest`` is the sha256 of the row: equal findings are one row, different ones never clash."""

    digest = pw.TextField()
    wallet = pw.TextField()
    type = pw.TextField()
    severity = pw.TextField()
    action = pw.TextField()
    market_id = pw.TextField()
    subject = pw.TextField()
    before = pw.TextField()
    after = pw.TextField()
    cause = pw.TextField()
    cycle_id = pw.TextField()
    at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "integrity_issues"
        primary_key = pw.CompositeKey("digest")


class Strategies(Row):
    """Strategies and whether they are paused (S-06)."""

    wallet = pw.TextField()
    strategy_id = pw.TextField()
    paused = pw.BooleanField()
    pause_reason = pw.TextField()
    paused_at_ms = pw.BigIntegerField(null=True)
    updated_at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "strategies"
        primary_key = pw.CompositeKey("wallet", "strategy_id")


class StrategyEvents(Row):
    """Pauses, suppressed pauses, resumes and kill-switch changes; ``digest`` as in ``integrity_issues``."""

    digest = pw.TextField()
    wallet = pw.TextField()
    strategy_id = pw.TextField()
    event = pw.TextField()
    market_id = pw.TextField()
    operator = pw.TextField()
    reason = pw.TextField()
    at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "strategy_events"
        primary_key = pw.CompositeKey("digest")


class Journal(Row):
    """Every message that changed something, hash-chained per stream (D-16, D-17); ``payload`` is opaque here."""

    stream = pw.TextField()
    seq = pw.BigIntegerField()
    address = pw.TextField()
    kind = pw.TextField()
    schema = pw.BigIntegerField()
    version = pw.BigIntegerField()
    at_ms = pw.BigIntegerField()
    payload = pw.BlobField()
    previous_hash = pw.TextField()
    hash = pw.TextField()

    class Meta:
        table_name = "journal"
        primary_key = pw.CompositeKey("stream", "seq")


class Cursors(Row):
    """How far each source was processed (D-21)."""

    wallet = pw.TextField()
    source = pw.TextField()
    value = pw.TextField()
    at_ms = pw.BigIntegerField()

    class Meta:
        table_name = "cursors"
        primary_key = pw.CompositeKey("wallet", "source")


class Leases(Row):
    """Who owns a stream, with the fencing number, and where its chain ends (D-17, R-12)."""

    stream = pw.TextField()
    owner = pw.TextField()
    epoch = pw.BigIntegerField()
    head_seq = pw.BigIntegerField()
    head_hash = pw.TextField()
    acquired_at_ms = pw.BigIntegerField()
    released_at_ms = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "leases"
        primary_key = pw.CompositeKey("stream")


class Outbox(Row):
    """Alerts that are durable and wait to be said (D-18); ours alone."""

    key = pw.TextField()
    wallet = pw.TextField()
    payload = pw.BlobField()
    at_ms = pw.BigIntegerField()
    delivered_at_ms = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "_outbox"
        primary_key = pw.CompositeKey("key")


PUBLIC: tuple[type[Row], ...] = (
    Wallets,
    Markets,
    Tokens,
    Positions,
    Orders,
    Fills,
    Adjustments,
    FillObservations,
    SettlementReports,
    OperationsReports,
    IntegrityIssues,
    Strategies,
    StrategyEvents,
    Journal,
    Cursors,
    Leases,
)
"""The tables that others may read, in the order of the interface."""
