"""Every outcome has a table, and every field of it a place there."""

from __future__ import annotations

import typing

import msgspec
import pytest

from portfolio.outcomes import Outcome
from storage.dialect import OnConflict, render
from storage.projections import PROJECTIONS, digest, project
from tests.integration.storage import samples

IN_DOCUMENT = {"bot_id", "deltas_by_type", "neg_risk", "paused_strategies", "reasons"}
"""Fields of reports that stand in the document alone."""


@pytest.mark.req("D-07")
def test_every_outcome_has_a_projection() -> None:
    assert set(PROJECTIONS) == set(typing.get_args(Outcome))
    assert set(PROJECTIONS) == {type(row) for row in samples.EVERY_KIND}


@pytest.mark.req("D-07")
@pytest.mark.parametrize("outcome", PROJECTIONS, ids=lambda outcome: outcome.__name__)
def test_every_field_has_a_column_or_stands_in_the_document(outcome: type[msgspec.Struct]) -> None:
    columns = set(PROJECTIONS[outcome].statement.columns)
    missing = set(outcome.__struct_fields__) - columns
    if "payload" not in columns:
        assert missing <= (IN_DOCUMENT if "document" in columns else set())


@pytest.mark.req("L-22")
def test_a_digest_tells_contents_apart_and_is_stable() -> None:
    assert digest(samples.issue()) == digest(samples.issue())
    assert digest(samples.issue()) != digest(samples.issue(before="1"))


def test_rows_are_grouped_by_table_in_the_order_of_arrival() -> None:
    grouped = project([samples.fill(2), samples.cursor(), samples.fill(1)])
    assert [(projection.statement.table, len(rows)) for projection, rows in grouped.items()] == [
        ("fills", 2),
        ("cursors", 1),
    ]
    (fills, _) = grouped.values()
    assert [row[1][-1] for row in fills] == ["2", "1"]


def test_records_are_kept_and_states_replaced() -> None:
    by_conflict = {
        kind: {p.statement.table for p in PROJECTIONS.values() if p.statement.on_conflict is kind}
        for kind in OnConflict
    }
    assert by_conflict == {
        OnConflict.FAIL: set(),
        OnConflict.KEEP: {
            "fill_observations",
            "adjustments",
            "settlement_reports",
            "operations_reports",
            "integrity_issues",
            "strategy_events",
            "_outbox",
        },
        OnConflict.REPLACE: {"wallets", "markets", "tokens", "positions", "orders", "fills", "strategies", "cursors"},
    }
    sql = render(PROJECTIONS[type(samples.cursor())].statement, "(?)")
    assert sql.endswith(
        'ON CONFLICT ("wallet", "source") DO UPDATE SET "value" = excluded."value", "at_ms" = excluded."at_ms"'
    )
