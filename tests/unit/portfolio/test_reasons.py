"""The catalogue of reason codes and issues against the source document (S-16)."""

from __future__ import annotations

import pytest

from portfolio.outcomes import IssueAction, Severity
from portfolio.reasons import (
    ISSUES,
    REASONS,
    SITUATIONS,
    IssueType,
    ReasonCode,
    Route,
    Situation,
    difference_severity,
    pnl_action,
    situations,
)

DOCUMENT = {
    "PORTFOLIO_SYNC_CYCLE_COMPLETE": "INFO",
    "PORTFOLIO_SYNC_DISCREPANCY": "WARN",
    "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY": "WARN",
    "PORTFOLIO_SYNC_STRATEGY_PAUSED": "WARN",
    "PORTFOLIO_SYNC_CLOB_UNAVAILABLE": "WARN",
    "PORTFOLIO_SYNC_NEGRISK_AGGREGATE": "INFO",
    "STALE_DATA": "WARN",
    "PARAMETER_CHANGE_REQUIRES_APPROVAL": "HARD_REJECT",
}


@pytest.mark.req("S-16")
@pytest.mark.parametrize(("code", "severity"), DOCUMENT.items())
def test_every_code_of_the_document_has_its_severity(code: str, severity: str) -> None:
    assert REASONS[ReasonCode(code)].severity == severity


@pytest.mark.req("S-16")
@pytest.mark.parametrize("code", ReasonCode)
def test_every_code_is_explained_to_operators_and_users(code: ReasonCode) -> None:
    reason = REASONS[code]
    assert all(text.endswith(".") for text in (reason.meaning, reason.action, reason.user_message))
    assert not any(word in reason.user_message for word in ("CLOB", "RPC", "drift_pusd", "_"))
    assert code.name == code.value


@pytest.mark.req("S-16")
def test_the_catalogue_holds_every_code_and_no_other() -> None:
    assert set(REASONS) == set(ReasonCode)
    assert set(ISSUES) == set(IssueType)
    assert set(SITUATIONS) == set(Situation)


@pytest.mark.req("S-05", "S-16")
def test_critical_drift_is_a_warning_routed_as_a_page() -> None:
    reason = REASONS[ReasonCode.PORTFOLIO_SYNC_CRITICAL_DISCREPANCY]
    assert (reason.severity, reason.route) == (Severity.WARN, Route.PAGE)
    assert all(reason.route is Route.LOG for reason in REASONS.values() if reason.severity is Severity.INFO)


@pytest.mark.req("S-16")
def test_the_documents_sentences_are_kept_word_by_word() -> None:
    assert REASONS[ReasonCode.STALE_DATA].user_message == (
        "Portfolio synchronisation is delayed. The team has been notified."
    )
    assert REASONS[ReasonCode.PORTFOLIO_SYNC_DISCREPANCY].user_message == (
        "A small difference was found between the internal record and the exchange. It was corrected."
    )
    assert SITUATIONS[Situation.CLEAN] == "Your portfolio state matches the exchange records exactly."


@pytest.mark.req("L-22")
@pytest.mark.parametrize("kind", IssueType)
def test_every_kind_of_issue_has_severity_action_and_a_sentence(kind: IssueType) -> None:
    issue = ISSUES[kind]
    assert issue.severity in {Severity.INFO, Severity.WARN}
    assert issue.action in set(IssueAction)
    assert issue.sentence.endswith(".")


@pytest.mark.req("L-04", "L-22")
@pytest.mark.parametrize(
    ("difference", "severity"),
    [
        (1, Severity.INFO),
        (9_999, Severity.INFO),
        (10_000, Severity.WARN),
        (-9_999, Severity.INFO),
        (-10_000, Severity.WARN),
    ],
)
def test_differences_warn_from_a_hundredth_of_a_share(difference: int, severity: Severity) -> None:
    assert difference_severity(difference) is severity


@pytest.mark.req("L-10", "L-22")
@pytest.mark.parametrize(
    ("difference", "action"),
    [
        (1, IssueAction.CORRECTED),
        (-10_000, IssueAction.CORRECTED),
        (10_001, IssueAction.REQUIRES_MANUAL),
        (-10_001, IssueAction.REQUIRES_MANUAL),
    ],
)
def test_profit_mismatches_are_corrected_up_to_a_cent(difference: int, action: IssueAction) -> None:
    assert pnl_action(difference) is action


@pytest.mark.req("S-16")
@pytest.mark.parametrize(
    ("differences", "paused", "neg_risk", "told"),
    [
        (0, 0, 0, (Situation.CLEAN,)),
        (1, 0, 0, (Situation.CORRECTED,)),
        (1, 1, 0, (Situation.STRATEGY_PAUSED,)),
        (0, 0, 2, (Situation.CLEAN, Situation.MULTI_OUTCOME)),
        (3, 1, 2, (Situation.STRATEGY_PAUSED, Situation.MULTI_OUTCOME)),
    ],
)
def test_users_are_told_the_situation(
    differences: int, paused: int, neg_risk: int, told: tuple[Situation, ...]
) -> None:
    found = situations(differences=differences, strategies_paused=paused, neg_risk_positions=neg_risk)
    assert found == told
