"""The Data API's reader: a second witness with its own account of how late it is (R-15, D-13, D-15)."""

from __future__ import annotations

import pytest

from messages.reads import PositionsAnswer, ReadCompleted, ReadFailed, ReadPositions
from polymarket.data_api import read_positions
from polymarket.reading import ReadResult
from polymarket.requests import HttpReply, HttpRequest, HttpResponse
from portfolio.facts import FailureKind, Verdict
from tests.unit.polymarket.script import CONTEXT, FUNDER, SETTINGS, Answer, Played, failure, param, play, response

STATUS = response({"data": {"serving": {"lag_seconds": 4.5}, "ingestion": {"min_synced_block": 99}}})


def row(token: int, size: float = 1.5, **changes: object) -> dict[str, object]:
    return {
        "token_id": str(token), "condition_id": "0xC0", "current_size": size, "entry_cost_usdc": 0.7,
        "current_price": 0.5, "negative_risk": False, "opposite_token_id": "9",
    } | changes  # fmt: skip


def data_page(rows: list[dict[str, object]], cursor: str = "") -> HttpResponse:
    return response({"data": rows, "pagination": {"limit": 500, "has_more": bool(cursor), "next_cursor": cursor}})


def positions(answer: Answer, status: HttpReply = STATUS) -> tuple[ReadResult, Played]:
    def both(request: HttpRequest) -> HttpReply:
        return status if request.url.endswith("/v2/status") else answer(request)

    return play(read_positions(SETTINGS, ReadPositions(wallet="main"), CONTEXT), both)


def sizes(result: ReadResult) -> dict[str, int]:
    assert isinstance(result, ReadCompleted)
    assert isinstance(result.answer, PositionsAnswer)
    return {position.token_id: position.size_micro for position in result.answer.positions}


@pytest.mark.req("R-15", "L-29")
def test_all_pages_are_read_with_the_same_parameters_dust_and_archived_included() -> None:
    pages = {None: data_page([row(1), row(2, 0.000001)], "next"), "next": data_page([row(3, 1e3)])}
    result, played = positions(lambda request: pages[param(request, "cursor")])
    assert sizes(result) == {"1": 1_500_000, "2": 1, "3": 1_000_000_000}
    first, second = (dict(r.params) for r in played.requests if r.url.endswith("/v2/positions"))
    assert second.pop("cursor") == "next"
    assert first == second
    assert (first["user"], first["filter_amount"], first["include_archived"]) == (FUNDER, "0", "true")
    assert first["_"].startswith(CONTEXT.nonce)


@pytest.mark.req("D-15")
def test_the_source_says_how_late_it_is_at_no_extra_round_trip() -> None:
    result, played = positions(lambda _: data_page([row(1)]))
    assert isinstance(result, ReadCompleted)
    assert (result.certificate.block_number, result.certificate.verdict) == (99, Verdict.COMPLETE)
    assert result.certificate.block_time_ms == 2_010 - 4_500
    assert [len(one) for one in played.rounds] == [2]


@pytest.mark.req("D-15")
@pytest.mark.parametrize("status", [failure(), response({}, 503), response({"data": {}}), response(b"<html>")])
def test_without_a_status_the_lag_is_unknown_and_the_rows_stand(status: HttpReply) -> None:
    result, _ = positions(lambda _: data_page([row(1)]), status)
    assert isinstance(result, ReadCompleted)
    assert (result.certificate.block_time_ms, result.certificate.block_number) == (None, None)
    assert result.certificate.verdict is Verdict.COMPLETE


@pytest.mark.req("R-30")
def test_a_token_on_two_pages_makes_the_set_be_read_again_past_the_cache() -> None:
    pages = [data_page([row(1)], "a"), data_page([row(1)]), data_page([row(1)], "a"), data_page([row(2)])]
    rest = iter(pages)
    result, played = positions(lambda _: next(rest))
    assert sizes(result) == {"1": 1_500_000, "2": 1_500_000}
    nonces = [param(r, "_") for r in played.requests if r.url.endswith("/v2/positions")]
    assert nonces[0] == nonces[1] != nonces[2] == nonces[3]


@pytest.mark.req("R-16")
def test_a_rejected_position_is_counted() -> None:
    result, _ = positions(lambda _: data_page([row(1), row(2, current_size="NaN")]))
    assert isinstance(result, ReadCompleted)
    assert (result.certificate.verdict, result.certificate.rejected_rows) == (Verdict.PARTIAL, 1)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (response({"error": "x", "code": "dependency_unavailable"}, 503), FailureKind.THROTTLED),
        (failure(FailureKind.UNREACHABLE), FailureKind.UNREACHABLE),
        (response(b"<html></html>", 200, "text/html"), FailureKind.MALFORMED),
        (response({"data": None, "pagination": {"has_more": False}}), FailureKind.MALFORMED),
        (data_page([row(1)], "loop"), FailureKind.MALFORMED),
    ],
)
def test_whatever_goes_wrong_ends_as_a_failure_of_its_kind(reply: HttpReply, kind: FailureKind) -> None:
    result, _ = positions(lambda _: reply)
    assert isinstance(result, ReadFailed)
    assert result.kind is kind
