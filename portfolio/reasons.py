"""Every reason code and every kind of issue: how severe, what it means, what to do, and the sentence for users (S-16).

Codes of the source document keep its severity and its wording. Here is the catalogue only; who emits a code and when
is decided where the finding is made. ``docs/reference`` is generated from these tables.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from portfolio.outcomes import IssueAction, Severity

WARN_FROM_SHARES_MICRO: Final = 10_000
"""0.01 share: smaller differences of a size are INFO (R-32)."""

PNL_CORRECTED_UP_TO_MICRO: Final = 10_000
"""0.01 pUSD: a P&L mismatch up to it is corrected by an entry (R-32)."""


class Route(enum.StrEnum):
    """Where a code goes: only the log, an alert, or whoever is on call (R-26)."""

    LOG = "log"
    WARN = "warn"
    PAGE = "page"


class ReasonCode(enum.StrEnum):
    """Machine-readable reasons in alerts, reports and the trade gate."""

    PORTFOLIO_SYNC_CYCLE_COMPLETE = "PORTFOLIO_SYNC_CYCLE_COMPLETE"
    PORTFOLIO_SYNC_DISCREPANCY = "PORTFOLIO_SYNC_DISCREPANCY"
    PORTFOLIO_SYNC_CRITICAL_DISCREPANCY = "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY"
    PORTFOLIO_SYNC_STRATEGY_PAUSED = "PORTFOLIO_SYNC_STRATEGY_PAUSED"
    PORTFOLIO_SYNC_STRATEGY_RESUMED = "PORTFOLIO_SYNC_STRATEGY_RESUMED"
    PORTFOLIO_SYNC_PAUSE_SUPPRESSED = "PORTFOLIO_SYNC_PAUSE_SUPPRESSED"
    PORTFOLIO_SYNC_AUTO_PAUSE_OFF = "PORTFOLIO_SYNC_AUTO_PAUSE_OFF"
    PORTFOLIO_SYNC_MARKET_HALTED = "PORTFOLIO_SYNC_MARKET_HALTED"
    PORTFOLIO_SYNC_INVARIANT_BREACH = "PORTFOLIO_SYNC_INVARIANT_BREACH"
    PORTFOLIO_SYNC_MARKET_RESUMED = "PORTFOLIO_SYNC_MARKET_RESUMED"
    PORTFOLIO_SYNC_CLOB_UNAVAILABLE = "PORTFOLIO_SYNC_CLOB_UNAVAILABLE"
    PORTFOLIO_SYNC_RPC_UNAVAILABLE = "PORTFOLIO_SYNC_RPC_UNAVAILABLE"
    PORTFOLIO_SYNC_DATA_API_UNAVAILABLE = "PORTFOLIO_SYNC_DATA_API_UNAVAILABLE"
    PORTFOLIO_SYNC_LEASE_LOST = "PORTFOLIO_SYNC_LEASE_LOST"
    PORTFOLIO_SYNC_CYCLE_ABORTED = "PORTFOLIO_SYNC_CYCLE_ABORTED"
    PORTFOLIO_SYNC_CASH_UNEXPLAINED = "PORTFOLIO_SYNC_CASH_UNEXPLAINED"
    PORTFOLIO_SYNC_POSITION_IDS_MISMATCH = "PORTFOLIO_SYNC_POSITION_IDS_MISMATCH"
    PORTFOLIO_SYNC_NEGRISK_AGGREGATE = "PORTFOLIO_SYNC_NEGRISK_AGGREGATE"
    STALE_DATA = "STALE_DATA"
    PARAMETER_CHANGE_REQUIRES_APPROVAL = "PARAMETER_CHANGE_REQUIRES_APPROVAL"
    PARAMETER_ABOVE_NORMAL = "PARAMETER_ABOVE_NORMAL"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """``meaning`` and ``action`` are for operators, ``user_message`` for the people whose portfolio it is."""

    severity: Severity
    route: Route
    meaning: str
    action: str
    user_message: str


REASONS: Final[Mapping[ReasonCode, Reason]] = MappingProxyType(
    {
        ReasonCode.PORTFOLIO_SYNC_CYCLE_COMPLETE: Reason(
            severity=Severity.INFO,
            route=Route.LOG,
            meaning="Full sync cycle completed; OperationsReport emitted.",
            action="No action; routine.",
            user_message="Your portfolio state is updated regularly to stay in sync with the exchange.",
        ),
        ReasonCode.PORTFOLIO_SYNC_DISCREPANCY: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="Position drift between internal store and CLOB exceeds discrepancy_alert_usd threshold.",
            action="Emit alert; apply delta to internal store; log drift_pusd.",
            user_message="A small difference was found between the internal record and the exchange. It was corrected.",
        ),
        ReasonCode.PORTFOLIO_SYNC_CRITICAL_DISCREPANCY: Reason(
            severity=Severity.WARN,
            route=Route.PAGE,
            meaning=(
                "Position drift exceeds the hard threshold (500 pUSD). This indicates a significant state divergence."
            ),
            action="Emit page alert; optionally pause affected strategy (auto_pause_strategy_on_drift).",
            user_message=(
                "A significant difference was found. The affected strategy has been paused while the team investigates."
            ),
        ),
        ReasonCode.PORTFOLIO_SYNC_STRATEGY_PAUSED: Reason(
            severity=Severity.WARN,
            route=Route.PAGE,
            meaning="A strategy was automatically paused because position drift exceeded the hard threshold.",
            action="Notify on-call; do not resume until drift is investigated and resolved.",
            user_message="A trading strategy was paused as a precaution while portfolio state is being verified.",
        ),
        ReasonCode.PORTFOLIO_SYNC_STRATEGY_RESUMED: Reason(
            severity=Severity.INFO,
            route=Route.LOG,
            meaning="An operator resumed a paused strategy by name.",
            action="No action; the reviewer's name stands in strategy_events.",
            user_message="A paused trading strategy was reviewed and is running again.",
        ),
        ReasonCode.PORTFOLIO_SYNC_PAUSE_SUPPRESSED: Reason(
            severity=Severity.WARN,
            route=Route.PAGE,
            meaning="Drift exceeded the hard threshold, but the kill switch or the configuration suppressed the pause.",
            action="Investigate the drift now; the strategy was not paused by this service.",
            user_message="A significant difference was found. The team has been notified and decides how to go on.",
        ),
        ReasonCode.PORTFOLIO_SYNC_AUTO_PAUSE_OFF: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="auto_pause_strategy_on_drift is false; the named operator has taken responsibility.",
            action="Confirm that this is intended; set it to true as soon as the reason is gone.",
            user_message="Strategies are not paused automatically at present; the team watches them.",
        ),
        ReasonCode.PORTFOLIO_SYNC_MARKET_HALTED: Reason(
            severity=Severity.WARN,
            route=Route.PAGE,
            meaning="A critical invariant of one market's books failed, or a message could not be processed.",
            action="Read the market's issues and its story; resume it by name once the invariant holds.",
            user_message="One market was set aside as a precaution while its records are being verified.",
        ),
        ReasonCode.PORTFOLIO_SYNC_INVARIANT_BREACH: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="A rule about a fill or an order did not hold; the books stand, the market goes on.",
            action="Read the issue with `portfolio-sync issues`; compare the order with the exchange.",
            user_message="A record of a trade or an order looks unusual and is being checked.",
        ),
        ReasonCode.PORTFOLIO_SYNC_MARKET_RESUMED: Reason(
            severity=Severity.INFO,
            route=Route.LOG,
            meaning="An operator resumed a halted market after its invariants held again.",
            action="No action; the reviewer's name and reason are recorded.",
            user_message="A market that had been set aside was reviewed and is tracked normally again.",
        ),
        ReasonCode.PORTFOLIO_SYNC_CLOB_UNAVAILABLE: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="CLOB auth API was unavailable during a sync cycle; no delta applied.",
            action="Skip cycle; emit alert; retry on next interval.",
            user_message="The exchange could not be reached. Nothing was changed; the check is repeated shortly.",
        ),
        ReasonCode.PORTFOLIO_SYNC_RPC_UNAVAILABLE: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="Polygon RPC was unavailable during a sync cycle; balances were not checked on chain.",
            action="Apply by the policy in force or skip; report onchain_reconciled=false; retry on next interval.",
            user_message="Balances could not be checked on the blockchain this time. The check is repeated shortly.",
        ),
        ReasonCode.PORTFOLIO_SYNC_DATA_API_UNAVAILABLE: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="The Data API was unavailable during a sync cycle; the chain alone testified to positions.",
            action="Reconcile positions from the chain; skip the cycle if the chain is down as well.",
            user_message="One of two sources for your positions was unavailable. The other one was used.",
        ),
        ReasonCode.PORTFOLIO_SYNC_LEASE_LOST: Reason(
            severity=Severity.WARN,
            route=Route.PAGE,
            meaning="Another process owns the wallet; this one must not write for it.",
            action="Find out which process holds the lease; stop the one that should not.",
            user_message="Portfolio synchronisation moved to another machine. No record was changed here.",
        ),
        ReasonCode.PORTFOLIO_SYNC_CYCLE_ABORTED: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="The process ended inside a sync cycle; deltas committed before that stand.",
            action="Check that the cycle after the restart completed.",
            user_message="A portfolio check was interrupted and is repeated. Records are consistent.",
        ),
        ReasonCode.PORTFOLIO_SYNC_CASH_UNEXPLAINED: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="The wallet's collateral changed by more than its recorded entries explain.",
            action="Look for deposits, withdrawals, rewards and unseen trades; above 500 pUSD it pages.",
            user_message="A change of your cash balance is being looked into.",
        ),
        ReasonCode.PORTFOLIO_SYNC_POSITION_IDS_MISMATCH: Reason(
            severity=Severity.WARN,
            route=Route.PAGE,
            meaning="The contract computes other token ids for a condition than its metadata states.",
            action="Compare metadata, market page and the addresses under [polygon]; until then do not trade there.",
            user_message="The description of one market contradicts the blockchain and is being checked.",
        ),
        ReasonCode.PORTFOLIO_SYNC_NEGRISK_AGGREGATE: Reason(
            severity=Severity.INFO,
            route=Route.LOG,
            meaning="A negative-risk multi-outcome market was encountered; NegRiskAdapter aggregation applied.",
            action="No action; informational.",
            user_message=(
                "Some positions are in multi-outcome markets. "
                "These are tracked and valued using the correct multi-outcome formula."
            ),
        ),
        ReasonCode.STALE_DATA: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="CLOB or RPC data is older than sync_interval_s; internal store may be stale.",
            action="Emit WARN; skip delta application; retry sync on next cycle.",
            user_message="Portfolio synchronisation is delayed. The team has been notified.",
        ),
        ReasonCode.PARAMETER_CHANGE_REQUIRES_APPROVAL: Reason(
            severity=Severity.HARD_REJECT,
            route=Route.WARN,
            meaning="A setting is beyond its locked maximum, or lacks the operator and reason it needs.",
            action="Reject the config change; emit alert; the old configuration stays in force.",
            user_message="A change of settings was refused because it exceeds a safety limit.",
        ),
        ReasonCode.PARAMETER_ABOVE_NORMAL: Reason(
            severity=Severity.WARN,
            route=Route.WARN,
            meaning="A setting is above its normal range, but within its locked maximum.",
            action="Confirm that it is intended; a longer interval or a higher line hides drift for longer.",
            user_message="Portfolio checks run with wider limits than usual.",
        ),
    }
)
"""Every code with its entry; a test holds the two together."""


class IssueType(enum.StrEnum):
    """Kinds of rows in ``integrity_issues`` (L-22)."""

    POSITION_DRIFT = "POSITION_DRIFT"
    ORDER_DRIFT = "ORDER_DRIFT"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    ORDER_GONE = "ORDER_GONE"
    NEG_RISK_FLAG_MISMATCH = "NEG_RISK_FLAG_MISMATCH"
    POSITION_IDS_MISMATCH = "POSITION_IDS_MISMATCH"
    NEG_RISK_LEGS_DIFFER = "NEG_RISK_LEGS_DIFFER"
    COST_HINT = "COST_HINT"
    PNL_MISMATCH = "PNL_MISMATCH"
    CASH_UNEXPLAINED = "CASH_UNEXPLAINED"
    CASH_MOVED = "CASH_MOVED"
    NEGATIVE_INVENTORY = "NEGATIVE_INVENTORY"
    SHORTFALL_PENDING = "SHORTFALL_PENDING"
    DIFFERENCE_PENDING = "DIFFERENCE_PENDING"
    REJECTED_ROW = "REJECTED_ROW"
    REJECTED_MESSAGE = "REJECTED_MESSAGE"
    SUSPECT_SHRINK = "SUSPECT_SHRINK"
    SIZE_MATCHED_FELL = "SIZE_MATCHED_FELL"
    ORDER_IN_RESOLVED_MARKET = "ORDER_IN_RESOLVED_MARKET"
    FILL_OVERDUE = "FILL_OVERDUE"
    FILL_EXPIRED = "FILL_EXPIRED"
    FILL_REINSTATED = "FILL_REINSTATED"
    FILL_REPRICED = "FILL_REPRICED"
    CHAIN_REORGANISED = "CHAIN_REORGANISED"
    INVARIANT_BREACH = "INVARIANT_BREACH"
    AUDIT_FAILED = "AUDIT_FAILED"


class IssueKind(msgspec.Struct, frozen=True, kw_only=True):
    """Usual severity and action of a kind of issue, and a sentence for users.

    The severity of size differences follows their size (``difference_severity``), the action of a P&L mismatch its
    amount (``pnl_action``).
    """

    severity: Severity
    action: IssueAction
    sentence: str


def _kind(severity: Severity, action: IssueAction, sentence: str) -> IssueKind:
    return IssueKind(severity=severity, action=action, sentence=sentence)


_INFO, _WARN = Severity.INFO, Severity.WARN
_CORRECTED, _LOGGED, _MANUAL = IssueAction.CORRECTED, IssueAction.LOGGED, IssueAction.REQUIRES_MANUAL

ISSUES: Final[Mapping[IssueType, IssueKind]] = MappingProxyType(
    {
        IssueType.POSITION_DRIFT: _kind(_WARN, _CORRECTED, "A position differed from its balance and was corrected."),
        IssueType.ORDER_DRIFT: _kind(_WARN, _CORRECTED, "An open order differed from the exchange and was corrected."),
        IssueType.ORDER_UNKNOWN: _kind(_WARN, _LOGGED, "The exchange shows an order that did not come from here."),
        IssueType.ORDER_GONE: _kind(
            _WARN, _LOGGED, "An order is no longer on the exchange and how it ended is unknown."
        ),
        IssueType.NEG_RISK_FLAG_MISMATCH: _kind(
            _WARN, _LOGGED, "A market is described as one kind of market and is another on the blockchain."
        ),
        IssueType.POSITION_IDS_MISMATCH: _kind(
            _WARN, _MANUAL, "A market's description names other tokens than the blockchain has for it."
        ),
        IssueType.NEG_RISK_LEGS_DIFFER: _kind(
            _INFO, _CORRECTED, "The parts of a multi-outcome position differed although its value did not."
        ),
        IssueType.COST_HINT: _kind(
            _WARN,
            _LOGGED,
            "The exchange shows another average price; a trade may be missing. Records were not changed.",
        ),
        IssueType.PNL_MISMATCH: _kind(_WARN, _MANUAL, "A recorded profit does not equal the sum of its trades."),
        IssueType.CASH_UNEXPLAINED: _kind(_WARN, _LOGGED, "A change of the cash balance has no recorded cause."),
        IssueType.CASH_MOVED: _kind(_INFO, _LOGGED, "A deposit, a withdrawal or a reward, shown by its transaction."),
        IssueType.NEGATIVE_INVENTORY: _kind(
            _WARN, _MANUAL, "More was sold than was ever held; the market was set aside."
        ),
        IssueType.SHORTFALL_PENDING: _kind(
            _INFO, _LOGGED, "A sale was seen before its purchase; the purchase is awaited."
        ),
        IssueType.DIFFERENCE_PENDING: _kind(_INFO, _LOGGED, "A difference was seen and awaits a second look."),
        IssueType.REJECTED_ROW: _kind(_WARN, _LOGGED, "A record of a source was unreadable and was not used."),
        IssueType.REJECTED_MESSAGE: _kind(_WARN, _MANUAL, "An event could not be processed; the market was set aside."),
        IssueType.SUSPECT_SHRINK: _kind(
            _WARN, _LOGGED, "A source suddenly showed much less than before; nothing was removed until confirmed."
        ),
        IssueType.SIZE_MATCHED_FELL: _kind(_INFO, _LOGGED, "An older state of an order arrived late and was ignored."),
        IssueType.ORDER_IN_RESOLVED_MARKET: _kind(
            _WARN, _LOGGED, "An order is still listed although its market has been decided."
        ),
        IssueType.FILL_OVERDUE: _kind(_WARN, _LOGGED, "A fill has not settled in time and is still awaited."),
        IssueType.FILL_EXPIRED: _kind(_WARN, _CORRECTED, "A fill did not settle in time and was taken back."),
        IssueType.FILL_REINSTATED: _kind(_WARN, _CORRECTED, "A fill that was taken back has settled after all."),
        IssueType.FILL_REPRICED: _kind(_WARN, _CORRECTED, "The exchange changed price or size of a fill."),
        IssueType.CHAIN_REORGANISED: _kind(
            _INFO, _CORRECTED, "The chain dropped a block; what was booked from it was taken back."
        ),
        IssueType.INVARIANT_BREACH: _kind(_WARN, _MANUAL, "A rule that always holds for the records did not hold."),
        IssueType.AUDIT_FAILED: _kind(_WARN, _MANUAL, "A check of all records could not be completed."),
    }
)
"""Every kind with its entry; a test holds the two together."""


def difference_severity(difference_micro: int) -> Severity:
    """Severity of a difference in shares, signed or not: INFO below 0.01 share, WARN from there (R-32)."""
    return Severity.WARN if abs(difference_micro) >= WARN_FROM_SHARES_MICRO else Severity.INFO


def pnl_action(difference_micro: int) -> IssueAction:
    """What a P&L mismatch calls for: CORRECTED up to 0.01 pUSD, REQUIRES_MANUAL above (R-32, L-10)."""
    small = abs(difference_micro) <= PNL_CORRECTED_UP_TO_MICRO
    return IssueAction.CORRECTED if small else IssueAction.REQUIRES_MANUAL


class Situation(enum.StrEnum):
    """The situations of the document's plain-English section, in the order in which they are told."""

    STRATEGY_PAUSED = "STRATEGY_PAUSED"
    CORRECTED = "CORRECTED"
    CLEAN = "CLEAN"
    MULTI_OUTCOME = "MULTI_OUTCOME"


SITUATIONS: Final[Mapping[Situation, str]] = MappingProxyType(
    {
        Situation.STRATEGY_PAUSED: (
            "A significant difference was found between the internal position record and the exchange. "
            "The affected strategy has been paused while the team investigates."
        ),
        Situation.CORRECTED: (
            "A small difference was found between the internal record and the exchange. It was corrected automatically."
        ),
        Situation.CLEAN: "Your portfolio state matches the exchange records exactly.",
        Situation.MULTI_OUTCOME: REASONS[ReasonCode.PORTFOLIO_SYNC_NEGRISK_AGGREGATE].user_message,
    }
)
"""The document's sentences, word by word."""


def situations(*, differences: int, strategies_paused: int, neg_risk_positions: int) -> tuple[Situation, ...]:
    """What to tell users after a completed cycle: one sentence on agreement, and one where an event is aggregated.

    ``differences`` counts everything that was found to differ, however small: only none at all is "exactly". A
    skipped cycle has its reason code's own ``user_message`` instead.
    """
    first = Situation.CORRECTED if differences else Situation.CLEAN
    if strategies_paused:
        first = Situation.STRATEGY_PAUSED
    return (first, Situation.MULTI_OUTCOME) if neg_risk_positions else (first,)
