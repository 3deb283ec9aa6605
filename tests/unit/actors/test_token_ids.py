"""The contract is asked for token ids of conditions that are new in this life of the process, and for no others."""

from __future__ import annotations

import msgspec
import pytest

from actors.directory import CHECKS_AT_ONCE
from messages.reads import ReadBalances
from portfolio.facts import FailureKind
from tests.support.system import Build, Harness
from tests.unit.actors.worlds import running

pytestmark = pytest.mark.req("R-18")

SWAPPED = ("0xa-no", "0xa-yes")


def asked(harness: Harness) -> list[int]:
    """How many conditions each read of the chain had checked, since the last time this was asked."""
    found = [len(read.token_ids_of) for read in harness.venue.asked if isinstance(read, ReadBalances)]
    harness.venue.asked.clear()
    return found


def subjects(harness: Harness) -> list[str]:
    """The conditions that issues were made of."""
    return [row["subject"] for row in harness.queries.issues() if row["type"] == "POSITION_IDS_MISMATCH"]


def test_a_condition_is_checked_once_in_a_life_of_the_process(build: Build) -> None:
    harness = running(build(), "0xa", "0xb")
    assert sum(asked(harness)) == 2
    before = len(harness.journal())
    harness.cycle()
    assert asked(harness) == [0], "metadata was read again and is the same: one call, and nothing more in it"
    assert [entry.kind for entry in harness.journal()[before:]] == ["cycle_closed"], "agreement is not told"
    harness.restart()
    assert asked(harness) == [2]
    assert harness.rebuilt().markets["market:main/0xa"].contradicted == {}


def test_of_many_new_conditions_each_cycle_checks_some(build: Build) -> None:
    harness = build()
    for number in range(2 * CHECKS_AT_ONCE + 5):
        harness.venue.add_market(f"0x{number}")
        harness.venue.balances[f"0x{number}-yes"] = 1_000_000
    harness.start()
    harness.cycles(3)
    assert [count for count in asked(harness) if count] == [CHECKS_AT_ONCE, CHECKS_AT_ONCE, 5]


def test_what_the_chain_did_not_answer_is_asked_again(build: Build) -> None:
    harness = build()
    harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
    running(harness)
    harness.cycle()
    asked(harness)
    harness.venue.failing.clear()
    harness.cycles(2)
    assert asked(harness) == [1, 0]


@pytest.mark.req("R-06", "S-16", "L-22")
def test_other_ids_of_the_contract_are_said_in_issue_alert_and_every_report(build: Build) -> None:
    harness = build()
    harness.venue.contract_ids["0xa"] = SWAPPED
    running(harness, "0xa", "0xb")
    reports = [harness.metrics.reports[-1], *harness.cycles(2)]
    for report in reports:
        (note,) = (reason for reason in report.reasons if "token ids" in reason)
        assert note.startswith("market 0xa, token ids of condition 0xa: metadata says 0xa-yes and 0xa-no")
        assert "the contract says 0xa-no and 0xa-yes" in note
    assert subjects(harness) == ["0xa"]
    assert harness.sink.codes().count("PORTFOLIO_SYNC_POSITION_IDS_MISMATCH") == 1
    assert harness.shares()["0xa-yes"] > 0, "balances are read by token id and booked"
    harness.assert_replays()


@pytest.mark.req("L-19", "D-20")
def test_a_contradiction_is_not_said_again_after_a_restart_and_ends_with_its_cause(build: Build) -> None:
    harness = build()
    harness.venue.contract_ids["0xa"] = SWAPPED
    running(harness)
    harness.restart()
    assert harness.sink.codes().count("PORTFOLIO_SYNC_POSITION_IDS_MISMATCH") == 1
    assert "token ids of condition 0xa" in " ".join(harness.cycle().reasons)
    meta = harness.venue.metas["0xa"]
    yes, no = meta.tokens
    tokens = (msgspec.structs.replace(yes, outcome_index=1), msgspec.structs.replace(no, outcome_index=0))
    harness.venue.metas["0xa"] = msgspec.structs.replace(meta, tokens=tokens)
    harness.cycles(2)
    assert harness.metrics.reports[-1].reasons == ()
    assert subjects(harness) == ["0xa"]
    harness.assert_replays()


def test_a_contract_that_cannot_be_asked_is_noted_once_and_is_no_issue(build: Build) -> None:
    harness = build()
    harness.venue.contract_ids["0xa"] = ()
    running(harness)
    noted = [report for report in (*harness.metrics.reports, *harness.cycles(2)) if report.reasons]
    (first,) = noted
    assert first.reasons[-1] == (
        "the contract could not be asked for the token ids of 1 conditions, so their metadata is taken at its word: 0xa"
    )
    assert subjects(harness) == []
