"""One outcome of each kind, with ids as long as real ones, and decisions made of them."""

from __future__ import annotations

import msgspec

from messages.ledger import Decision
from portfolio.entries import Cause, FillState
from portfolio.facts import OrderStatus, Role, Side, TradeStatus
from portfolio.outcomes import (
    AdjustmentRow,
    Alert,
    CursorRow,
    CycleStatus,
    DeltaType,
    FillObservationRow,
    FillRow,
    IssueAction,
    IssueRow,
    MarketRow,
    NegRiskAggregate,
    OperationsReport,
    OrderRow,
    Outcome,
    PositionRow,
    SettlementReport,
    Severity,
    StrategyEventRow,
    StrategyRow,
    Subject,
    TokenRow,
    WalletRow,
)

WALLET = "main"
STREAM = "main"
AT_MS = 1_746_792_000_000
CONDITION = "0x" + "c0" * 32
MARKET = CONDITION
TOKEN = "7132107" + "1" * 70
ORDER = "0x" + "0d" * 32
LARGEST = 2**63 - 1


def hexadecimal(number: int) -> str:
    """A 32-byte id that differs for each number."""
    return f"0x{number:064x}"


def position(**changes: object) -> PositionRow:
    row = PositionRow(
        wallet=WALLET,
        token_id=TOKEN,
        condition_id=CONDITION,
        market_id=MARKET,
        outcome="Yes",
        shares_micro=400_000_000,
        settled_micro=300_000_000,
        in_flight_micro=100_000_000,
        cost_basis_micro=LARGEST,
        realized_pnl_micro=-1,
        fees_micro=7,
        neg_risk=False,
        version=3,
        updated_at_ms=AT_MS,
    )
    return msgspec.structs.replace(row, **changes)


def order(**changes: object) -> OrderRow:
    row = OrderRow(
        wallet=WALLET,
        order_id=ORDER,
        market_id=MARKET,
        condition_id=CONDITION,
        token_id=TOKEN,
        side=Side.BUY,
        price_micro=520_000,
        original_size_micro=100_000_000,
        size_matched_micro=40_000_000,
        status=OrderStatus.LIVE,
        owner="11111111-2222-3333-4444-555555555555",
        order_type="GTC",
        created_at_ms=AT_MS - 5,
        first_seen_at_ms=AT_MS,
        closed_at_ms=None,
        ended_because="",
    )
    return msgspec.structs.replace(row, **changes)


def fill(number: int = 1, **changes: object) -> FillRow:
    row = FillRow(
        wallet=WALLET,
        trade_id=f"00000000-0000-4000-8000-{number:012d}",
        order_id=ORDER,
        market_id=MARKET,
        condition_id=CONDITION,
        token_id=TOKEN,
        side=Side.SELL,
        role=Role.MAKER,
        price_micro=520_000,
        size_micro=1,
        amount_micro=1,
        fee_micro=0,
        realized_pnl_micro=-5,
        state=FillState.OBSERVED,
        external=False,
        owner="11111111-2222-3333-4444-555555555555",
        transaction_hash=None,
        settled_by="",
        fee_rate_micro=None,
        fee_exponent=None,
        matched_at_ns=(AT_MS + number) * 1_000_000 + 999,
        matched_at_ms=AT_MS + number,
        booked_at_ms=AT_MS + number,
        updated_at_ms=AT_MS + number,
    )
    return msgspec.structs.replace(row, **changes)


def observation(number: int = 1, **changes: object) -> FillObservationRow:
    row = FillObservationRow(
        wallet=WALLET,
        trade_id=f"00000000-0000-4000-8000-{number:012d}",
        order_id=ORDER,
        status=TradeStatus.MATCHED,
        feed="poll",
        at_ms=AT_MS,
    )
    return msgspec.structs.replace(row, **changes)


def adjustment(**changes: object) -> AdjustmentRow:
    row = AdjustmentRow(
        wallet=WALLET,
        entry_id="adj-1",
        market_id=MARKET,
        condition_id=CONDITION,
        token_id=TOKEN,
        cause=Cause.POSITION_MERGED,
        size_micro=-5_000_000,
        cost_micro=2_500_000,
        proceeds_micro=2_500_000,
        realized_pnl_micro=0,
        fee_micro=0,
        estimated=True,
        evidence="inferred",
        operator="anna",
        reason="merged by hand",
        economic_at_ms=AT_MS - 1,
        at_ms=AT_MS,
    )
    return msgspec.structs.replace(row, **changes)


def issue(**changes: object) -> IssueRow:
    row = IssueRow(
        wallet=WALLET,
        type="SIZE_MATCHED_DECREASED",
        severity=Severity.WARN,
        action=IssueAction.LOGGED,
        market_id=MARKET,
        subject=ORDER,
        before="40.000000",
        after="39.000000",
        cause="late message",
        cycle_id="",
        at_ms=AT_MS,
    )
    return msgspec.structs.replace(row, **changes)


def settlement(**changes: object) -> SettlementReport:
    row = SettlementReport(
        wallet=WALLET,
        bot_id="gov.portfolio_sync",
        event_type="POSITION_DELTA",
        market_id=CONDITION,
        delta_type=DeltaType.UPDATED,
        internal_size_micro=400_000_000,
        clob_size_micro=388_400_000,
        drift_micro=11_600_000,
        neg_risk=True,
        action_taken="UPDATED_INTERNAL",
        synced_at_ms=AT_MS,
        subject=Subject.POSITION,
        cause="EXTERNAL_SALE",
        evidence="block 71234567",
        onchain_reconciled=True,
        strategy_id="default",
        cycle_id="cycle-1",
    )
    return msgspec.structs.replace(row, **changes)


def operations(**changes: object) -> OperationsReport:
    aggregate = NegRiskAggregate(
        market_id=hexadecimal(9),
        size_micro=400_000_000,
        independent_size_micro=900_000_000,
        guaranteed_if_one_wins_micro=200_000_000,
        worst_case_micro=0,
        releasable_micro=0,
        event_drift_micro=0,
        flag_mismatch=True,
    )
    row = OperationsReport(
        wallet=WALLET,
        bot_id="gov.portfolio_sync",
        cycle_id="cycle-1",
        event_type="SYNC_COMPLETED",
        status=CycleStatus.OK,
        total_positions=3,
        synced_count=2,
        discrepancy_count=1,
        delta_count=1,
        deltas_by_type=((DeltaType.UPDATED, 1),),
        pending_count=0,
        drift_max_micro=11_600_000,
        neg_risk_positions=1,
        neg_risk=(aggregate,),
        paused_strategies=("default",),
        onchain_balance_micro=1_000_000_001,
        cash_unexplained_micro=None,
        onchain_reconciled=True,
        block_number=71_234_567,
        reasons=("PORTFOLIO_SYNC_DISCREPANCY",),
        sync_duration_ms=312,
        synced_at_ms=AT_MS,
    )
    return msgspec.structs.replace(row, **changes)


def alert(number: int = 1, **changes: object) -> Alert:
    row = Alert(
        wallet=WALLET,
        key=f"alert-{number}",
        code="PORTFOLIO_SYNC_DISCREPANCY",
        severity=Severity.WARN,
        route="warn",
        market_id=MARKET,
        drift_micro=11_600_000,
        text="The books were 11.60 pUSD off.",
        at_ms=AT_MS + number,
    )
    return msgspec.structs.replace(row, **changes)


def market(**changes: object) -> MarketRow:
    row = MarketRow(
        wallet=WALLET,
        condition_id=CONDITION,
        market_id=MARKET,
        title="Will it rain in Zürich?",
        slug="rain-zurich",
        neg_risk=False,
        neg_risk_claimed=None,
        neg_risk_market_id=None,
        question_index=None,
        closed=False,
        halted=True,
        halt_reason="L-12",
        updated_at_ms=AT_MS,
    )
    return msgspec.structs.replace(row, **changes)


def strategy(**changes: object) -> StrategyRow:
    row = StrategyRow(
        wallet=WALLET,
        strategy_id="default",
        paused=True,
        pause_reason="drift of 612.00 pUSD",
        paused_at_ms=AT_MS,
        updated_at_ms=AT_MS,
    )
    return msgspec.structs.replace(row, **changes)


def strategy_event(**changes: object) -> StrategyEventRow:
    row = StrategyEventRow(
        wallet=WALLET, strategy_id="default", event="paused", market_id=MARKET, operator="", reason="drift", at_ms=AT_MS
    )
    return msgspec.structs.replace(row, **changes)


def cursor(**changes: object) -> CursorRow:
    return msgspec.structs.replace(
        CursorRow(wallet=WALLET, source="clob.trades", value="1746792000", at_ms=AT_MS), **changes
    )


EVERY_KIND: tuple[Outcome, ...] = (
    WalletRow(
        wallet=WALLET, address="0x" + "a1" * 20, signer_address="0x" + "b2" * 20, signature_type=2, updated_at_ms=1
    ),
    market(),
    TokenRow(
        wallet=WALLET,
        token_id=TOKEN,
        condition_id=CONDITION,
        market_id=MARKET,
        outcome="Yes",
        outcome_index=0,
        contract="0x" + "c3" * 20,
    ),
    position(),
    order(),
    fill(),
    observation(),
    adjustment(),
    issue(),
    settlement(),
    operations(),
    strategy(),
    strategy_event(),
    cursor(),
    alert(),
)
"""One of each."""


def decision(
    *rows: Outcome, stream: str = STREAM, payload: bytes = b'{"type":"fill_seen"}', version: int = 1
) -> Decision:
    return Decision(
        stream=stream,
        address=f"market:{stream}/{CONDITION}",
        kind="fill_seen",
        schema=1,
        version=version,
        at_ms=AT_MS,
        payload=payload,
        rows=rows,
    )


def fill_decision(number: int) -> Decision:
    """A fill as it is booked: fill, observation, position, order, cursor."""
    return decision(
        fill(number),
        observation(number),
        position(version=number, shares_micro=number),
        order(size_matched_micro=number),
        cursor(value=str(number)),
        version=number,
        payload=b'{"type":"fill_seen","number":%d,"padding":"%s"}' % (number, b"x" * 400),
    )
