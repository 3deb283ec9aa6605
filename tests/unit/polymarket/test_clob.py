"""The CLOB's readers against scripted answers: pages, cursors, movement, refusals (L-08, L-29, R-15, R-30)."""

from __future__ import annotations

import pytest

from messages.reads import (
    OrderAnswer,
    OrdersAnswer,
    ReadCompleted,
    ReadFailed,
    ReadOpenOrders,
    ReadOrder,
    ReadTrades,
    TradesAnswer,
)
from polymarket.clob import read_open_orders, read_order, read_server_time, read_trades
from polymarket.reading import ReadResult
from polymarket.requests import HttpReply, HttpRequest
from portfolio.facts import FailureKind, Verdict
from tests.unit.polymarket.script import (
    CONTEXT,
    SETTINGS,
    Answer,
    Played,
    failure,
    in_turn,
    order_row,
    page,
    param,
    play,
    response,
    trade_row,
)

ORDER_ID = f"0x{7:064x}"


def orders(answer: Answer) -> tuple[ReadResult, Played]:
    return play(read_open_orders(SETTINGS, ReadOpenOrders(wallet="main"), CONTEXT), answer)


def completed(result: object) -> ReadCompleted:
    assert isinstance(result, ReadCompleted)
    return result


def failed(result: object) -> ReadFailed:
    assert isinstance(result, ReadFailed)
    return result


def numbers(result: object) -> list[int]:
    answer = completed(result).answer
    assert isinstance(answer, OrdersAnswer)
    return [int(order.order_id, 16) for order in answer.orders]


def paged(*sets: list[list[int]]) -> Answer:
    """Serve each full reading (a request for the first page begins one) from the next of these sets of pages."""
    state = {"set": -1}

    def answer(request: HttpRequest) -> HttpReply:
        cursor = param(request, "next_cursor")
        if cursor == "MA==":
            state["set"] = min(state["set"] + 1, len(sets) - 1)
        pages = sets[state["set"]]
        number = 0 if cursor == "MA==" else int(cursor or "")
        following = "LTE=" if number == len(pages) - 1 else str(number + 1)
        return page([order_row(n) for n in pages[number]], following)

    return answer


@pytest.mark.req("L-29", "X-09")
def test_a_single_page_is_complete_with_one_request() -> None:
    result, played = orders(in_turn(page([order_row(2), order_row(1)])))
    assert numbers(result) == [1, 2]
    certificate = completed(result).certificate
    assert (certificate.verdict, certificate.pages, certificate.rows, certificate.reason) == (
        Verdict.COMPLETE,
        1,
        2,
        "",
    )
    assert (certificate.started_at_ms, certificate.completed_at_ms) == (2_000, 2_005)
    assert len(played.requests) == 1


@pytest.mark.req("R-15")
def test_every_page_asks_for_a_signature_of_its_own_over_the_path_without_query() -> None:
    _, played = orders(paged([[1], [2], [3]]))
    assert {(r.signing.wallet, r.signing.path) for r in played.requests if r.signing} == {("main", "/data/orders")}
    assert all(request.signing is not None for request in played.requests)


@pytest.mark.req("L-29", "R-30")
def test_many_pages_are_read_and_all_but_the_last_looked_at_again_at_once() -> None:
    result, played = orders(paged([[1, 2], [3, 4], [5]]))
    assert numbers(result) == [1, 2, 3, 4, 5]
    assert completed(result).certificate.verdict is Verdict.COMPLETE
    assert [len(one) for one in played.rounds] == [1, 1, 1, 2]


@pytest.mark.req("X-09")
def test_equal_rows_have_an_equal_digest_whatever_their_order_and_pages() -> None:
    one, _ = orders(paged([[1, 2], [3]]))
    other, _ = orders(paged([[3, 2, 1]]))
    changed, _ = orders(in_turn(page([order_row(3), order_row(2), order_row(1, size_matched="26")])))
    assert completed(one).certificate.digest == completed(other).certificate.digest
    assert completed(one).certificate.digest != completed(changed).certificate.digest


def sliding() -> Answer:
    """Order 1 leaves after page 1 was read: 3 slides onto page 1 unseen, and page 2 begins with 4."""
    calls: list[str] = []
    full, slid = [[1, 2], [3, 4], [5]], [[2, 3], [4, 5]]

    def answer(request: HttpRequest) -> HttpReply:
        calls.append(param(request, "next_cursor") or "")
        pages = full if len(calls) == 1 else slid
        number = 0 if calls[-1] == "MA==" else int(calls[-1])
        following = str(number + 1) if number + 1 < len(pages) else "LTE="
        return page([order_row(n) for n in pages[number]], following)

    return answer


@pytest.mark.req("R-30", "L-08")
def test_an_order_that_slid_between_pages_is_found_by_the_second_look_and_the_set_is_read_again() -> None:
    result, _ = orders(sliding())
    assert numbers(result) == [2, 3, 4, 5]
    assert completed(result).certificate.verdict is Verdict.COMPLETE


@pytest.mark.req("R-30")
def test_an_id_on_two_pages_makes_the_set_be_read_again() -> None:
    result, played = orders(paged([[1, 2], [2, 3]], [[1, 2], [3]]))
    assert numbers(result) == [1, 2, 3]
    assert completed(result).certificate.verdict is Verdict.COMPLETE
    assert len(played.rounds) == 2 + 3


@pytest.mark.req("R-30", "X-09")
def test_a_set_that_never_rests_is_read_three_times_and_its_union_proves_no_absence() -> None:
    result, played = orders(paged([[1, 2], [2]], [[2, 3], [3]], [[3, 4], [4]]))
    assert numbers(result) == [1, 2, 3, 4]
    certificate = completed(result).certificate
    assert certificate.verdict is Verdict.PARTIAL
    assert "moved in each of 3 readings" in certificate.reason
    assert len(played.rounds) == 6


@pytest.mark.req("L-08")
def test_an_empty_page_before_the_last_makes_the_set_be_read_again() -> None:
    result, _ = orders(paged([[1], [], [2]], [[1], [3], [2]]))
    assert numbers(result) == [1, 2, 3]
    assert completed(result).certificate.verdict is Verdict.COMPLETE


@pytest.mark.req("L-08")
def test_a_page_with_fewer_rows_than_it_announces_is_never_complete() -> None:
    result, played = orders(lambda _: page([order_row(1)], count=2))
    certificate = completed(result).certificate
    assert (certificate.verdict, len(played.requests)) == (Verdict.PARTIAL, 3)


@pytest.mark.req("R-15")
@pytest.mark.parametrize("cursor", ["", None])
def test_a_missing_cursor_fails_the_read_and_does_not_start_over(cursor: str | None) -> None:
    body = {"data": [order_row(1)]} | ({} if cursor is None else {"next_cursor": cursor})
    result, played = orders(lambda _: response(body))
    assert failed(result).kind is FailureKind.MALFORMED
    assert "next_cursor" in failed(result).detail
    assert len(played.requests) == 1


@pytest.mark.req("R-15")
def test_a_cursor_that_loops_fails_the_read() -> None:
    result, played = orders(lambda _: page([order_row(1)], "Mg=="))
    assert failed(result).kind is FailureKind.MALFORMED
    assert "led back" in failed(result).detail
    assert len(played.requests) == 2


@pytest.mark.req("R-16", "X-09")
def test_a_rejected_row_is_counted_and_named_and_leaves_the_rest() -> None:
    result, _ = orders(in_turn(page([order_row(1), order_row(2, price="0.1234567"), order_row(3)])))
    assert numbers(result) == [1, 3]
    certificate = completed(result).certificate
    assert (certificate.verdict, certificate.rejected_rows, certificate.rows) == (Verdict.PARTIAL, 1, 2)
    assert certificate.reason.startswith("1 rows were rejected, the first one (0x0000")
    assert "price was finer than 1e-6" in certificate.reason


@pytest.mark.req("L-05", "L-27")
def test_an_order_shown_twice_counts_once_with_the_larger_matched_size() -> None:
    result, _ = orders(in_turn(page([order_row(1, size_matched="30"), order_row(1)])))
    answer = completed(result).answer
    assert isinstance(answer, OrdersAnswer)
    assert [order.size_matched_micro for order in answer.orders] == [30_000_000]


@pytest.mark.req("S-11")
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (response({"error": "Unauthorized/Invalid api key"}, 401), FailureKind.UNAUTHORIZED),
        (response(b"<html>blocked</html>", 403, "text/html; charset=UTF-8"), FailureKind.REFUSED),
        (response({"error": "read only"}, 403), FailureKind.UNAUTHORIZED),
        (response({"error": "service not ready"}, 425), FailureKind.THROTTLED),
        (response({"error": "slow down"}, 429), FailureKind.THROTTLED),
        (response({"error": "paused"}, 503), FailureKind.THROTTLED),
        (response(b"<html>bad gateway</html>", 502, "text/html"), FailureKind.UNREACHABLE),
        (response({"error": "internal"}, 500), FailureKind.UNREACHABLE),
        (response({"error": "bad"}, 400), FailureKind.REFUSED),
        (response(b"", 302), FailureKind.REFUSED),
        (response(b"<!DOCTYPE html><html></html>", 200, "text/html"), FailureKind.MALFORMED),
        (response(b"<html></html>", 200), FailureKind.MALFORMED),
        (response(b"{}", 200, "text/plain"), FailureKind.MALFORMED),
        (response(b'{"data": [', 200), FailureKind.MALFORMED),
        (response([]), FailureKind.MALFORMED),
        (response({"data": [], "next_cursor": 5}), FailureKind.MALFORMED),
        (response(b'{"data": [{"price": NaN}], "next_cursor": "LTE="}'), FailureKind.MALFORMED),
        (failure(FailureKind.TIMEOUT), FailureKind.TIMEOUT),
        (failure(FailureKind.UNREACHABLE), FailureKind.UNREACHABLE),
    ],
)
def test_whatever_goes_wrong_ends_as_a_failure_of_its_kind(reply: HttpReply, kind: FailureKind) -> None:
    result, _ = orders(in_turn(reply))
    assert failed(result).kind is kind
    assert failed(result).correlation == "c-1"


@pytest.mark.req("S-11")
def test_a_failure_on_a_later_page_gives_no_rows_at_all() -> None:
    result, _ = orders(in_turn(page([order_row(1)], "Mg=="), failure()))
    assert failed(result).kind is FailureKind.TIMEOUT


@pytest.mark.req("X-09")
def test_no_orders_at_all_is_a_complete_answer() -> None:
    result, _ = orders(in_turn(page([])))
    assert numbers(result) == []
    assert completed(result).certificate.verdict is Verdict.COMPLETE


def fate(reply: HttpReply) -> ReadResult:
    result, played = play(read_order(SETTINGS, ReadOrder(wallet="main", order_id=ORDER_ID), CONTEXT), in_turn(reply))
    assert played.requests[0].signing is not None
    assert played.requests[0].signing.path == f"/data/order/{ORDER_ID}"
    return result


@pytest.mark.req("L-06")
@pytest.mark.parametrize(
    "reply",
    [response({"error": "not found"}, 404), response(b"", 404, ""), response(b"null"), response(b'""'), response(b"")],
)
def test_an_order_the_exchange_does_not_know_is_none(reply: HttpReply) -> None:
    assert completed(fate(reply)).answer == OrderAnswer(order_id=ORDER_ID, order=None)


@pytest.mark.req("L-06")
def test_an_order_the_exchange_knows_is_returned() -> None:
    answer = completed(fate(response(order_row(7, status="CANCELED")))).answer
    assert isinstance(answer, OrderAnswer)
    assert answer.order is not None
    assert answer.order.size_matched_micro == 25_000_000


@pytest.mark.req("L-06", "R-16")
@pytest.mark.parametrize(
    "reply",
    [
        response(b"<html>not found</html>", 404, "text/html"),
        response({}),
        response([]),
        response(order_row(7, price="x")),
        response(order_row(8)),
    ],
)
def test_an_unreadable_answer_is_a_failure_and_never_an_unknown_order(reply: HttpReply) -> None:
    assert isinstance(fate(reply), ReadFailed)


def trades(answer: Answer, after_s: int = 0) -> tuple[ReadResult, Played]:
    return play(read_trades(SETTINGS, ReadTrades(wallet="main", after_s=after_s), CONTEXT), answer)


@pytest.mark.req("L-17", "L-29")
def test_trades_come_oldest_first_without_a_second_look() -> None:
    result, played = trades(in_turn(page([trade_row(3), trade_row(2)], "Mg=="), page([trade_row(1)])))
    answer = completed(result).answer
    assert isinstance(answer, TradesAnswer)
    assert [trade.trade_id for trade in answer.trades] == ["t-1", "t-2", "t-3"]
    assert completed(result).certificate.verdict is Verdict.COMPLETE
    assert len(played.requests) == 2


@pytest.mark.req("L-17")
def test_trades_are_asked_for_from_the_second_before_and_never_filtered_by_token() -> None:
    _, played = trades(in_turn(page([])), after_s=1_700_000_000)
    assert dict(played.requests[0].params) == {"after": "1699999999", "next_cursor": "MA=="}
    _, played = trades(in_turn(page([])))
    assert dict(played.requests[0].params) == {"next_cursor": "MA=="}


@pytest.mark.req("R-10", "X-09")
def test_trades_of_one_market_or_of_one_id_are_asked_for_by_it_and_the_certificate_says_so() -> None:
    condition = "0x" + "c" * 64
    read = ReadTrades(wallet="main", after_s=1_700_000_000, condition_id=condition)
    result, played = play(read_trades(SETTINGS, read, CONTEXT), in_turn(page([trade_row(1)])))
    assert dict(played.requests[0].params) == {"after": "1699999999", "market": condition, "next_cursor": "MA=="}
    assert completed(result).certificate.parameters == (
        ("wallet", "main"), ("after_s", "1700000000"), ("market", condition),
    )  # fmt: skip
    read = ReadTrades(wallet="main", after_s=0, trade_id="t-1")
    result, played = play(read_trades(SETTINGS, read, CONTEXT), in_turn(page([trade_row(1)])))
    assert dict(played.requests[0].params) == {"id": "t-1", "next_cursor": "MA=="}
    assert completed(result).certificate.parameters == (("wallet", "main"), ("after_s", "0"), ("id", "t-1"))


@pytest.mark.req("R-30")
def test_trades_that_repeat_between_pages_are_read_again_and_counted_once() -> None:
    first = (page([trade_row(2)], "Mg=="), page([trade_row(2), trade_row(1)]))
    second = (page([trade_row(3), trade_row(2)], "Mg=="), page([trade_row(1)]))
    result, _ = trades(in_turn(*first, *second))
    answer = completed(result).answer
    assert isinstance(answer, TradesAnswer)
    assert [trade.trade_id for trade in answer.trades] == ["t-1", "t-2", "t-3"]
    assert completed(result).certificate.verdict is Verdict.COMPLETE


def test_the_server_time_is_shown_with_the_time_it_was_asked() -> None:
    time, _ = play(read_server_time(SETTINGS, CONTEXT), in_turn(response(b"1725958681")))
    assert (time.server_ms, time.started_at_ms, time.completed_at_ms) == (1_725_958_681_000, 2_000, 2_005)
