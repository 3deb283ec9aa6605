"""The reader of logs and its endpoints: arrays, ranges that are too large, refusals, and who is asked next."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from messages.reads import ReadCompleted
from polymarket.chain_memory import CALLS, ChainMemory
from polymarket.log_ranges import LOG_RANGE_BLOCKS, RangeSize, Refused, why_refused
from polymarket.requests import HttpReply, HttpRequest, HttpResponse
from portfolio.facts import FailureKind
from tests.unit.polymarket.log_node import BOTH, MAIN, LogNode, Refusal, answer_of, ask, failure_of, transactions
from tests.unit.polymarket.script import Answer, failure, response
from tests.unit.polymarket.test_logs import bought, split


def node_with_history(head: int = 100) -> LogNode:
    node = LogNode(head)
    node.add(40, *split())
    node.add(41, *bought())
    node.add(42, *split())
    return node


def error(code: int, message: str, status: int = 200) -> HttpReply:
    return response({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}, status)


def refuse(node: LogNode, method: str, code: int, message: str) -> None:
    """The node refuses a method from now on."""

    def no(*_params: Any) -> None:
        raise Refusal(code, message)

    setattr(node, method, no)


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    "refusal",
    [
        lambda: error(-32600, "batch requests are disabled"),
        lambda: error(-32603, "internal error"),
        lambda: error(-32000, "batches are not allowed here", 500),
        lambda: response({"oops": 1}, 400),
        lambda: response(b"<html></html>", 405, "text/html"),
    ],
)
def test_an_endpoint_without_arrays_is_asked_call_by_call_at_once(refusal: Any) -> None:
    whole = transactions(ask(node_with_history())[0])
    node, memory = node_with_history(), ChainMemory()
    node.array_refusal = refusal
    assert transactions(ask(node, memory)[0]) == whole
    assert [len(methods) for methods in node.methods].count(1) == len(node.methods) - 1, "one array was tried"
    node.requests.clear()
    assert transactions(ask(node, memory)[0]) == whole
    assert {len(methods) for methods in node.methods} == {1}, "it is remembered"


@pytest.mark.req("X-01")
def test_calls_that_go_one_by_one_keep_their_stages() -> None:
    node = node_with_history()
    node.array_refusal = lambda: error(-32600, "no batches")
    _, played = ask(node, to_block=90)
    methods = [[json.loads(request.body)["method"] for request in one] for one in played.rounds[1:]]
    assert methods == [
        ["eth_getBlockByNumber"] * 3 + ["eth_chainId", "eth_getBlockByNumber"],
        ["eth_getLogs"] * 3,
        ["eth_getBlockByNumber"],
        ["eth_getTransactionReceipt"] * 2,
    ], "the last block is looked at before its logs and after them"


@pytest.mark.req("X-01")
def test_an_array_that_is_too_long_is_halved() -> None:
    node, memory = node_with_history(), ChainMemory()
    for block in range(50, 90):
        node.add(block, *split())
    node.most_calls = 10
    found = transactions(ask(node, memory)[0])
    assert len(found) == 43
    assert max(len(methods) for methods in node.methods[-5:]) <= 10
    assert memory.endpoint(0).calls == 10
    assert CALLS >= 100


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    "body",
    [
        [],
        [{"jsonrpc": "2.0", "id": 0, "result": "0x1"}],
        [{"jsonrpc": "2.0", "id": 9, "result": None}] * 4,
        [{"jsonrpc": "2.0", "id": number, "result": "0x89" if number == 3 else None} for number in (0, 1, 2, 3, 0)],
        {"jsonrpc": "2.0", "id": 1, "result": "0x1"},
        "0x1",
        b"[",
    ],
)
def test_an_array_without_an_answer_to_each_call_is_malformed(body: object) -> None:
    assert failure_of(ask(lambda _request: response(body))[0])[0] is FailureKind.MALFORMED


@pytest.mark.req("X-01")
def test_too_large_a_range_is_halved_within_the_read_and_the_size_is_told() -> None:
    node, memory = node_with_history(30_000), ChainMemory()
    node.add(20_000, *bought())
    node.most_blocks = 3_000
    answer = answer_of(ask(node, memory)[0])
    assert (answer.to_block, answer.range_blocks) == (30_000, 2_500)
    assert len(answer.transactions) == 4
    asked = [params[0] for request in node.requests for method, params in request if method == "eth_getLogs"]
    assert sum(int(each["toBlock"], 16) - int(each["fromBlock"], 16) >= 3_000 for each in asked) == 6, "tried twice"
    node.requests.clear()
    assert answer_of(ask(node, memory)[0]).to_block == 30_000
    assert len(node.requests) == 1 + 12, "nothing is tried in vain again"


@pytest.mark.req("X-01")
def test_a_range_of_one_block_that_is_too_large_ends_the_read() -> None:
    node = node_with_history()
    node.most_blocks = 0
    kind, detail = failure_of(ask(node)[0])
    assert kind is FailureKind.REFUSED
    assert "answered with error -32701" in detail


@pytest.mark.req("X-01")
def test_the_size_of_ranges_halves_when_refused_and_grows_again() -> None:
    size = RangeSize().refused(LOG_RANGE_BLOCKS)
    assert size.blocks == 5_000
    for _ in range(15):
        size = size.answered(size.blocks, 0)
    assert size.blocks == 5_000, "what was refused is not asked for again at once"
    assert size.answered(4_999, 0) == size.answered(5_000, 2_000) == size, "only full ranges with few logs count"
    assert size.answered(5_000, 0).blocks == LOG_RANGE_BLOCKS
    assert RangeSize().refused(6).blocks == 3
    assert RangeSize().refused(1).blocks == 1
    assert RangeSize(100).refused(101).answered(50, 0).blocks == 100
    assert RangeSize().doubted(1_000).blocks == 500
    assert RangeSize().doubted(100) == RangeSize().answered(10_000, 0) == RangeSize()


@pytest.mark.req("X-01")
@pytest.mark.parametrize("fails", [failure(), failure(FailureKind.UNREACHABLE), response(b"<html>", 504, "text/html")])
def test_a_range_without_an_answer_is_smaller_next_time(fails: HttpReply) -> None:
    node, memory = node_with_history(30_000), ChainMemory()

    def answer(request: HttpRequest) -> HttpReply:
        return fails if b"eth_getLogs" in request.body else node.answer(request)

    failure_of(ask(answer, memory)[0])
    assert memory.endpoint(0).size == RangeSize(5_000)


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    ("code", "message", "why"),
    [
        (-32701, "exceed maximum block range: 10000", Refused.TOO_LARGE),
        (-32701, "", Refused.TOO_LARGE),
        (-32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2].", Refused.TOO_LARGE),
        (-32005, "", Refused.TOO_LARGE),
        (-32005, "project ID request rate exceeded", Refused.THROTTLED),
        (-32602, "range 1000000 exceeds limit of 10000", Refused.TOO_LARGE),
        (-32602, "query exceeds max results 20000, retry with the range 1-2", Refused.TOO_LARGE),
        (-32602, "invalid block range params", Refused.BEHIND),
        (-32602, "block range extends beyond current head block", Refused.BEHIND),
        (-32602, "Log response size exceeded.", Refused.TOO_LARGE),
        (-32614, "eth_getLogs is limited to a 10,000 range", Refused.TOO_LARGE),
        (-32000, "block range is larger than max block range", Refused.TOO_LARGE),
        (-32000, "header not found", Refused.BEHIND),
        (-32000, "One of the blocks specified in filter cannot be found", Refused.BEHIND),
        (-32002, "request timed out", Refused.TOO_LARGE),
        (-32002, "", Refused.TOO_LARGE),
        (30, "Request timeout on the free tier", Refused.TOO_LARGE),
        (35, "ranges over 10000 blocks are not supported on freetier", Refused.TOO_LARGE),
        (31, "Batch of more than 3 requests are not allowed on free tier", Refused.TOO_LARGE),
        (-32000, "missing trie node", Refused.PRUNED),
        (4444, "pruned history unavailable", Refused.PRUNED),
        (-32601, "the method eth_getLogs does not exist/is not available", Refused.UNSUPPORTED),
        (-32601, "out of range", Refused.UNSUPPORTED),
        (-32004, "Method not supported", Refused.UNSUPPORTED),
        (429, "Too Many Requests", Refused.THROTTLED),
        (-32000, "daily request count exceeded", Refused.THROTTLED),
        (-32603, "internal error", Refused.OTHER),
    ],
)
def test_refusals_of_real_endpoints_are_told_apart(code: int, message: str, why: Refused) -> None:
    assert why_refused(code, message) is why


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    ("code", "message", "kind", "detail"),
    [
        (-32601, "no such method", FailureKind.REFUSED, "does not offer this method, put another endpoint into"),
        (4444, "pruned history unavailable", FailureKind.REFUSED, "put an archive endpoint into polygon.rpc_url"),
        (-32602, "invalid block range params", FailureKind.REFUSED, "put an archive endpoint into polygon.rpc_url"),
        (429, "very-secret-key made too many requests", FailureKind.THROTTLED, "answered with error 429"),
        (-32603, "internal error", FailureKind.REFUSED, "answered with error -32603"),
    ],
)
def test_a_refusal_says_what_to_do_and_is_no_outage(code: int, message: str, kind: FailureKind, detail: str) -> None:
    node = node_with_history(30_000)
    refuse(node, "eth_getLogs", code, message)
    found, said = failure_of(ask(node)[0])
    assert found is kind
    assert detail in said


@pytest.mark.req("X-01")
def test_receipts_that_are_refused_end_the_read() -> None:
    node = node_with_history()
    refuse(node, "eth_getTransactionReceipt", -32601, "no such method")
    kind, detail = failure_of(ask(node)[0])
    assert kind is FailureKind.REFUSED
    assert "eth_getTransactionReceipt: the RPC answered with error -32601; it does not offer this method" in detail


@pytest.mark.req("X-01")
def test_errors_under_another_status_are_read_all_the_same() -> None:
    node = node_with_history(30_000)
    node.most_blocks = 3_000
    node.array_refusal = lambda: error(-32600, "no batches")

    def answer(request: HttpRequest) -> HttpReply:
        reply = node.answer(request)
        assert isinstance(reply, HttpResponse)
        return msgspec.structs.replace(reply, status=500 if b'"error"' in reply.body else 200)

    assert len(transactions(ask(answer)[0])) == 3


@pytest.mark.req("X-01")
def test_a_node_behind_its_balancer_has_covered_nothing_yet() -> None:
    node = node_with_history()
    refuse(node, "eth_getLogs", -32602, "invalid block range params")
    answer = answer_of(ask(node, from_block=51)[0])
    assert (answer.to_block, answer.to_hash, answer.head) == (50, "", 100)


@pytest.mark.req("X-01")
def test_a_block_that_only_another_node_has_is_waited_for_even_if_logs_came() -> None:
    node = node_with_history()
    honest = node.eth_getBlockByNumber
    node.eth_getBlockByNumber = lambda tag, _full: None if tag == hex(100) else honest(tag, _full)  # type: ignore[method-assign]
    assert answer_of(ask(node, from_block=1)[0]).to_block == 0


@pytest.mark.req("X-01")
def test_what_was_covered_before_a_failure_is_kept() -> None:
    node, memory = LogNode(50_000), ChainMemory()
    names = [node.add(block, *split()) for block in (5_000, 15_000, 25_000)]
    refuse_from = 30_001

    def answer(request: HttpRequest) -> HttpReply:
        body = json.loads(request.body)
        asked = (
            [call["params"][0] for call in body if call["method"] == "eth_getLogs"] if isinstance(body, list) else []
        )
        return failure() if asked and int(asked[0]["fromBlock"], 16) >= refuse_from else node.answer(request)

    found = answer_of(ask(answer, memory)[0])
    assert found.to_block == 20_000, "of the range up to 30,000 a receipt was still to be asked"
    assert [each.transaction_hash for each in found.transactions] == names[:2]


def two(first: Answer, second: Answer) -> Answer:
    """The first endpoint and the spare one."""
    return lambda request: (first if request.url == MAIN else second)(request)


@pytest.mark.req("X-01", "X-14")
@pytest.mark.parametrize(
    "reply",
    [
        failure(FailureKind.UNREACHABLE),
        failure(),
        response({}, 429),
        response({}, 401),
        response(b"<html></html>", 200, "text/html"),
        error(-32005, "rate limit"),
    ],
)
def test_an_endpoint_that_fails_is_followed_by_the_next(reply: HttpReply) -> None:
    node, memory = node_with_history(), ChainMemory()
    result, _ = ask(two(lambda _request: reply, node.answer), memory, BOTH)
    assert len(transactions(result)) == 3
    assert isinstance(result, ReadCompleted)
    assert dict(result.certificate.parameters)["endpoint"] == "2"
    assert "secret" not in repr(result.certificate)
    _, played = ask(two(lambda _request: reply, node.answer), memory, BOTH)
    assert {request.url for request in played.requests} == {BOTH.rpc_urls[1]}, "the one that answers is asked first"


@pytest.mark.req("X-01", "X-14")
def test_an_endpoint_without_the_method_or_the_history_is_followed_by_the_next() -> None:
    for code, message in ((-32601, "no"), (4444, "pruned history unavailable")):
        node, poor = node_with_history(), node_with_history()
        refuse(poor, "eth_getLogs", code, message)
        result, _ = ask(two(poor.answer, node.answer), None, BOTH)
        assert len(transactions(result)) == 3


@pytest.mark.req("X-01", "S-12")
def test_neither_another_chain_nor_a_reorganisation_is_a_reason_to_ask_elsewhere() -> None:
    wrong, moving, node = node_with_history(), node_with_history(), node_with_history()
    wrong.chain_id = 1
    moving.before = lambda method, _params: moving.reorganise(60) if method == "eth_getLogs" else None
    for first, kind in ((wrong, FailureKind.WRONG_CHAIN), (moving, FailureKind.REFUSED)):
        assert failure_of(ask(two(first.answer, node.answer), None, BOTH)[0])[0] is kind
    assert node.requests == []


@pytest.mark.req("X-01")
def test_where_all_endpoints_fail_the_last_ones_reason_is_told_and_the_first_is_asked_next() -> None:
    memory = ChainMemory()
    result, played = ask(two(lambda _r: failure(), lambda _r: failure(FailureKind.UNREACHABLE)), memory, BOTH)
    assert failure_of(result)[0] is FailureKind.UNREACHABLE
    assert [request.url for request in played.requests] == list(BOTH.rpc_urls)
    _, again = ask(two(lambda _r: failure(), node_with_history().answer), memory, BOTH)
    assert again.requests[0].url == MAIN


@pytest.mark.req("X-01")
def test_after_a_failure_chain_and_arrays_are_tried_anew() -> None:
    node, memory = node_with_history(), ChainMemory()
    node.array_refusal = lambda: error(-32600, "no batches")
    ask(node, memory)
    failure_of(ask(lambda _request: failure(), memory)[0])
    node.array_refusal = None
    node.requests.clear()
    ask(node, memory)
    assert node.methods[0].count("eth_chainId") == 1
