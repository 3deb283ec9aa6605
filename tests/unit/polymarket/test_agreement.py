"""The reader of agreement: endpoints that have a block, that have another one, that do not tell (X-14, R-31)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from messages.reads import AgreementAnswer, ReadAgreement, ReadCompleted
from polymarket.agreement import read_agreement
from polymarket.chain_memory import CALLS, ChainMemory
from polymarket.reading import ReadResult
from polymarket.requests import HttpReply, HttpRequest
from polymarket.settings import PolymarketSettings
from portfolio.facts import FailureKind, Source, Verdict
from tests.unit.polymarket.log_node import BOTH, MAIN, SPARE, LogNode, failure_of
from tests.unit.polymarket.script import CONTEXT, SETTINGS, Answer, Played, failure, play, response

pytestmark = pytest.mark.req("X-14")

THIRD = "http://third/secret-too"
THREE = msgspec.structs.replace(SETTINGS, further_rpc_urls=(SPARE, THIRD))
NUMBER = 90
HASH = LogNode().hash_of(NUMBER)


def ask(
    answers: Mapping[str, Answer],
    memory: ChainMemory | None = None,
    settings: PolymarketSettings = BOTH,
    block_hash: str = HASH,
) -> tuple[ReadResult, Played]:
    """Ask the endpoints of those URLs."""
    read = ReadAgreement(wallet="main", block_number=NUMBER, block_hash=block_hash)
    reader = read_agreement(settings, read, CONTEXT, memory or ChainMemory())
    return play(reader, lambda request: answers[request.url](request))


def beside(spare: Answer, memory: ChainMemory | None = None) -> AgreementAnswer:
    """What is said where the first endpoint has the block and the spare one answers so."""
    return answer_of(ask({MAIN: LogNode().answer, SPARE: spare}, memory)[0])


def answer_of(result: ReadResult) -> AgreementAnswer:
    assert isinstance(result, ReadCompleted), result
    assert isinstance(result.answer, AgreementAnswer)
    assert (result.certificate.verdict, result.certificate.reason) == (Verdict.COMPLETE, "")
    assert "secret" not in repr(result), "a URL may hold a key"
    return result.answer


def calls_of(played: Played) -> list[tuple[str, str, list[Any]]]:
    """URL, method and parameters of each request."""
    bodies = [(request.url, json.loads(request.body)) for request in played.requests]
    return [(url, body["method"], body["params"]) for url, body in bodies]


def forked() -> LogNode:
    """A node that has another block there."""
    node = LogNode()
    node.reorganise(NUMBER)
    return node


def elsewhere() -> LogNode:
    """A node of another chain, whose blocks have the same hashes here."""
    node = LogNode()
    node.chain_id = 1
    return node


def only(method: str, reply: Callable[[], HttpReply], node: LogNode | None = None) -> Answer:
    """A node with another reply to one method."""
    whole = (node or LogNode()).answer

    def answer(request: HttpRequest) -> HttpReply:
        return reply() if request.label == method else whole(request)

    return answer


def block_of(number: int) -> HttpReply:
    block = LogNode().eth_getBlockByNumber(hex(number), False)
    return response({"jsonrpc": "2.0", "id": 1, "result": block})


def test_endpoints_with_the_same_block_agree_and_are_asked_at_once() -> None:
    result, played = ask({MAIN: LogNode().answer, SPARE: LogNode().answer})
    answer = answer_of(result)
    assert answer == AgreementAnswer(
        block_number=NUMBER, block_hash=HASH, endpoints=2, agreeing=(1, 2), differing=(), silent=()
    )
    assert (answer.waived, answer.disagreed) == (False, False)
    header = ("eth_getBlockByNumber", [hex(NUMBER), False])
    assert calls_of(played) == [
        (MAIN, *header),
        (MAIN, "eth_chainId", []),
        (SPARE, *header),
        (SPARE, "eth_chainId", []),
    ]
    assert len(played.rounds) == 1


def test_hashes_are_compared_without_regard_to_case() -> None:
    nodes = {MAIN: LogNode().answer, SPARE: LogNode().answer}
    answer = answer_of(ask(nodes, block_hash=HASH.upper().replace("0X", "0x"))[0])
    assert (answer.agreeing, answer.block_hash) == ((1, 2), HASH)


def test_an_endpoint_with_another_block_there_differs_and_says_which() -> None:
    node = forked()
    answer = beside(node.answer)
    assert (answer.agreeing, answer.disagreed) == ((1,), True)
    assert answer.differing == ((2, f"its block {NUMBER} was {node.hash_of(NUMBER)}"),)


def test_the_endpoint_that_was_read_can_differ_too() -> None:
    answer = answer_of(ask({MAIN: forked().answer, SPARE: LogNode().answer})[0])
    assert (answer.agreeing, [place for place, _ in answer.differing]) == ((2,), [1])


@pytest.mark.parametrize("has_the_block", [True, False])
def test_an_endpoint_of_another_chain_differs_whatever_it_has_there(has_the_block: bool) -> None:
    node = elsewhere()
    node.head = NUMBER if has_the_block else NUMBER - 1
    answer = beside(node.answer)
    assert answer.differing == ((2, "the RPC's chain id was 1, expected 137; check polygon.rpc_url"),)
    assert answer.silent == ()


@pytest.mark.parametrize(
    ("spare", "reason"),
    [
        (lambda _request: failure(FailureKind.UNREACHABLE), "no answer"),
        (lambda _request: failure(), "no answer"),
        (lambda _request: response({}, 429), "eth_getBlockByNumber: the status was 429, expected 200"),
        (lambda _request: response(b"<html>", 502, "text/html"), "eth_getBlockByNumber: the status was 502"),
        (lambda _request: response({}, 400), "eth_getBlockByNumber: the RPC refused it with status 400"),
        (lambda _request: response(b"<html>", 200, "text/html"), "the content type was text/html"),
        (lambda _request: response({"result": {"number": 1}}), "eth_getBlockByNumber: the result had another shape"),
        (lambda _request: response({"error": {"code": -32000, "message": "no"}}), "answered with error -32000"),
        (lambda _request: response({"error": {"code": 4444, "message": "pruned"}}), "put an archive endpoint into"),
        (only("eth_getBlockByNumber", lambda: block_of(7)), "block 7 came, expected block 90"),
        (LogNode(NUMBER - 1).answer, "it does not have block 90, or not yet"),
    ],
)
def test_an_endpoint_that_does_not_tell_is_silent_with_a_reason(spare: Answer, reason: str) -> None:
    answer = beside(spare)
    assert (answer.agreeing, answer.disagreed, answer.waived) == ((1,), False, False)
    ((place, said),) = answer.silent
    assert place == 2
    assert reason in said


def test_an_endpoint_whose_chain_is_not_known_does_not_agree_but_may_differ() -> None:
    same = beside(only("eth_chainId", failure))
    assert (same.agreeing, same.silent, same.differing) == ((1,), ((2, "no answer"),), ())
    other = beside(only("eth_chainId", failure, forked()))
    assert (other.agreeing, other.silent, [place for place, _ in other.differing]) == ((1,), (), [2])


def test_each_of_several_endpoints_is_told_by_its_place() -> None:
    gone = {MAIN: lambda _request: failure(), SPARE: LogNode().answer, THIRD: forked().answer}
    answer = answer_of(ask(gone, None, THREE)[0])
    assert (answer.endpoints, answer.agreeing) == (3, (2,))
    assert ([place for place, _ in answer.silent], [place for place, _ in answer.differing]) == ([1], [3])


def test_where_no_endpoint_tells_the_read_fails_with_all_reasons() -> None:
    behind = LogNode(NUMBER - 1).answer
    kind, detail = failure_of(ask({MAIN: lambda _request: failure(FailureKind.UNREACHABLE), SPARE: behind})[0])
    assert kind is FailureKind.UNREACHABLE
    assert detail == "no endpoint told of block 90: 1: no answer; 2: it does not have block 90, or not yet"


@pytest.mark.req("R-31")
def test_one_endpoint_alone_is_waived_and_not_asked() -> None:
    result, played = ask({}, None, SETTINGS)
    answer = answer_of(result)
    assert answer == AgreementAnswer(
        block_number=NUMBER, block_hash=HASH, endpoints=1, agreeing=(), differing=(), silent=()
    )
    assert (answer.waived, answer.disagreed) == (True, False)
    assert played.rounds == []


@pytest.mark.req("R-31")
def test_an_endpoint_that_is_listed_twice_does_not_agree_with_itself() -> None:
    settings = msgspec.structs.replace(SETTINGS, further_rpc_urls=(MAIN,))
    result, played = ask({}, None, settings)
    assert answer_of(result).waived
    assert played.rounds == []
    more = msgspec.structs.replace(SETTINGS, further_rpc_urls=(MAIN, THIRD))
    answer = answer_of(ask({MAIN: LogNode().answer, THIRD: LogNode().answer}, None, more)[0])
    assert (answer.endpoints, answer.agreeing) == (2, (1, 3)), "places are those of the list"


def test_a_chain_that_is_known_is_not_asked_for_again() -> None:
    memory = ChainMemory()
    beside(LogNode().answer, memory)
    assert [memory.endpoint(place).chain_id for place in (0, 1)] == [137, 137]
    _, played = ask({MAIN: LogNode().answer, SPARE: LogNode().answer}, memory)
    assert [method for _, method, _ in calls_of(played)] == ["eth_getBlockByNumber"] * 2


@pytest.mark.parametrize("spare", [lambda _request: failure(), forked().answer])
def test_after_a_failure_or_a_difference_the_endpoint_is_asked_for_its_chain_again(spare: Answer) -> None:
    memory = ChainMemory()
    beside(LogNode().answer, memory)
    beside(spare, memory)
    _, played = ask({MAIN: LogNode().answer, SPARE: elsewhere().answer}, memory)
    assert [(url, method) for url, method, _ in calls_of(played)][1:] == [
        (SPARE, "eth_getBlockByNumber"),
        (SPARE, "eth_chainId"),
    ]


def test_an_endpoint_that_is_only_behind_keeps_what_was_learnt_of_it() -> None:
    memory = ChainMemory()
    memory.endpoint(1).calls = 4
    beside(LogNode(NUMBER - 1).answer, memory)
    assert memory.endpoint(1).calls == 4
    beside(lambda _request: failure(), memory)
    assert memory.endpoint(1).calls == CALLS


@pytest.mark.req("X-09", "R-27")
def test_the_certificate_names_the_block_and_how_many_were_asked() -> None:
    result, _ = ask({MAIN: LogNode().answer, SPARE: forked().answer})
    assert isinstance(result, ReadCompleted)
    certificate = result.certificate
    assert certificate.source is Source.CHAIN_AGREEMENT
    assert certificate.parameters == (("wallet", "main"), ("block_number", "90"), ("endpoints", "2"))
    assert (certificate.block_number, certificate.block_hash) == (NUMBER, HASH)
    assert (certificate.rows, certificate.pages) == (2, 2)
    assert (certificate.started_at_ms, certificate.completed_at_ms) == (2_000, 2_035)
    again = ask({MAIN: LogNode().answer, SPARE: LogNode().answer})[0]
    assert isinstance(again, ReadCompleted)
    assert again.certificate.digest != certificate.digest, "it is of what each endpoint told"
