"""The chain's reader: one block for everything, and no belief in an unchecked endpoint (D-09, D-28, R-31)."""

from __future__ import annotations

import msgspec
import pytest

from messages.reads import BalancesAnswer, ReadBalances, ReadCompleted, ReadFailed
from polymarket.chain import read_balances
from polymarket.chain_memory import ChainMemory
from polymarket.reading import ReadResult
from polymarket.requests import HttpReply, HttpRequest
from polymarket.settings import PolymarketSettings
from portfolio.facts import Balances, FailureKind, Payout, QuestionCount, TokenRef, Verdict
from tests.unit.polymarket.node import Node
from tests.unit.polymarket.script import CONTEXT, SETTINGS, Answer, Played, failure, play, response

CTF = SETTINGS.conditional_tokens
FURTHER = SETTINGS.position_contracts[0]
RESOLVED, OPEN, EVENT = "0x" + "1" * 64, "0x" + "2" * 64, "0x" + "3" * 64


def refs(*ids: int, contract: str = CTF) -> tuple[TokenRef, ...]:
    return tuple(TokenRef(contract=contract, token_id=str(token)) for token in ids)


def run(
    node: Answer,
    read: ReadBalances | None = None,
    memory: ChainMemory | None = None,
    settings: PolymarketSettings = SETTINGS,
) -> tuple[ReadResult, Played]:
    read = read or ReadBalances(wallet="main", tokens=refs(7))
    return play(read_balances(settings, read, CONTEXT, memory or ChainMemory()), node)


def balances(result: ReadResult) -> Balances:
    assert isinstance(result, ReadCompleted), result
    assert isinstance(result.answer, BalancesAnswer)
    return result.answer.balances


def failed(result: ReadResult) -> ReadFailed:
    assert isinstance(result, ReadFailed)
    return result


@pytest.mark.req("D-09", "D-28", "R-19", "X-02")
def test_everything_is_read_at_one_block_by_its_hash_in_one_call() -> None:
    node = Node()
    node.tokens = {(CTF.lower(), 7): 5_000_001, (CTF.lower(), 8): 3, (FURTHER.lower(), 9): 11}
    node.payouts = {RESOLVED: (2, 1, 1)}
    node.questions = {EVENT: 17}
    read = ReadBalances(
        wallet="main",
        tokens=(*refs(8, 7, 7, 6), *refs(9, contract=FURTHER)),
        payouts_of=(RESOLVED, OPEN),
        question_counts_of=(EVENT,),
    )
    result, played = run(node.answer, read)
    found = balances(result)
    assert {token.token_id: token.amount_micro for token in found.tokens} == {"6": 0, "7": 5_000_001, "8": 3, "9": 11}
    assert [(bucket.name, bucket.amount_micro) for bucket in found.collateral] == [
        ("pusd", 0), ("usdc_e", 1_000_000), ("wcol", 2_000_000),
    ]  # fmt: skip
    assert found.payouts == (Payout(condition_id=RESOLVED, numerators=(1, 1), denominator=2),)
    assert found.question_counts == (QuestionCount(neg_risk_market_id=EVENT, count=17),)
    assert (found.block_number, found.block_hash) == (100, node.hash_of(100))
    assert found.block_time_ms == 1_700_000_100_000
    assert (node.methods.count("eth_call"), len(played.rounds)) == (1, 2)


@pytest.mark.req("X-09")
def test_the_certificate_names_the_block_and_its_digest_the_content() -> None:
    node = Node()
    first, _ = run(node.answer)
    assert isinstance(first, ReadCompleted)
    certificate = first.certificate
    assert (certificate.verdict, certificate.block_number, certificate.rows) == (Verdict.COMPLETE, 100, 4)
    node.head = 101
    second, _ = run(node.answer)
    node.tokens = {(CTF.lower(), 7): 1}
    third, _ = run(node.answer)
    digests = [r.certificate.digest for r in (first, second, third) if isinstance(r, ReadCompleted)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.req("S-15")
def test_chain_and_contracts_are_checked_once_and_again_after_a_failure() -> None:
    node, memory = Node(), ChainMemory()
    run(node.answer, memory=memory)
    assert node.methods.count("eth_getCode") == 5
    node.methods.clear()
    run(node.answer, memory=memory)
    assert node.methods == ["eth_getBlockByNumber", "eth_call"]
    run(lambda _: failure(FailureKind.UNREACHABLE), memory=memory)
    node.chain_id = 1
    result, _ = run(node.answer, memory=memory)
    assert failed(result).kind is FailureKind.WRONG_CHAIN


@pytest.mark.req("S-22")
def test_another_chain_is_refused_with_both_ids() -> None:
    node = Node()
    node.chain_id = 80002
    result, _ = run(node.answer)
    assert failed(result).kind is FailureKind.WRONG_CHAIN
    assert "80002" in failed(result).detail
    assert "137" in failed(result).detail


@pytest.mark.parametrize("address", [CTF, SETTINGS.multicall, SETTINGS.collateral])
def test_a_contract_without_code_is_refused_by_its_address(address: str) -> None:
    node = Node()
    node.empty = {address.lower()}
    result, _ = run(node.answer)
    assert failed(result).kind is FailureKind.NO_CONTRACT
    assert address.lower() in failed(result).detail


@pytest.mark.req("R-31")
@pytest.mark.parametrize(("confirmations", "block"), [(0, 100), (7, 93), (1_000, 0), (None, 90)])
def test_the_block_is_so_many_below_the_head_or_the_finalized_one(confirmations: int | None, block: int) -> None:
    settings = msgspec.structs.replace(SETTINGS, confirmations=confirmations)
    assert balances(run(Node().answer, settings=settings)[0]).block_number == block


@pytest.mark.req("R-31")
def test_without_a_finalized_tag_a_depth_stands_in_and_the_tag_is_not_asked_for_again() -> None:
    node, memory = Node(), ChainMemory()
    node.finalized = None
    settings = msgspec.structs.replace(SETTINGS, confirmations=None)
    assert balances(run(node.answer, memory=memory, settings=settings)[0]).block_number == 80
    _, played = run(node.answer, memory=memory, settings=settings)
    assert [request.label for request in played.requests].count("eth_getBlockByNumber") == 2


@pytest.mark.req("R-31")
@pytest.mark.parametrize("confirmations", [0, 3])
def test_a_block_the_endpoint_does_not_know_is_refused(confirmations: int) -> None:
    settings = msgspec.structs.replace(SETTINGS, confirmations=confirmations)
    read = ReadBalances(wallet="main", tokens=refs(7), block_number=101)
    result, _ = run(Node().answer, read, settings=settings)
    assert failed(result).kind is FailureKind.REFUSED
    assert "block 0x65 is not known" in failed(result).detail


@pytest.mark.req("D-28")
def test_a_body_too_large_for_the_endpoint_is_split_too() -> None:
    node, memory = Node(), ChainMemory()
    read = ReadBalances(wallet="main", tokens=refs(*range(100)))

    def answer(request: HttpRequest) -> HttpReply:
        return response({}, 413) if len(request.body) > 10_000 else node.answer(request)

    found = balances(run(answer, read, memory)[0])
    assert len(found.tokens) == 100
    assert memory.batch < 100


@pytest.mark.req("D-28")
def test_a_call_that_reverts_names_itself_and_its_contract() -> None:
    node = Node()
    one = node.one

    def reverting(target: str, data: bytes, number: int) -> tuple[bool, bytes]:
        return (False, b"") if target == SETTINGS.neg_risk_adapter.lower() else one(target, data, number)

    node.one = reverting  # type: ignore[method-assign]
    result, _ = run(node.answer, ReadBalances(wallet="main", tokens=(), question_counts_of=(EVENT,)))
    assert failed(result).kind is FailureKind.NO_CONTRACT
    assert SETTINGS.neg_risk_adapter in failed(result).detail


@pytest.mark.req("D-09")
def test_a_second_reading_goes_to_the_same_block_or_fails_if_it_was_replaced() -> None:
    node = Node()
    read = ReadBalances(wallet="main", tokens=refs(7), block_number=95, block_hash=node.hash_of(95))
    assert balances(run(node.answer, read)[0]).block_number == 95
    node.mark = "b"
    result, _ = run(node.answer, read)
    assert "replaced" in failed(result).detail


@pytest.mark.req("D-09")
def test_where_hashes_are_refused_the_block_is_checked_again_after_the_call() -> None:
    node, memory = Node(), ChainMemory()
    node.takes_hashes = False
    _, played = run(node.answer, memory=memory)
    labels = [request.label for request in played.requests]
    assert labels[-3:] == ["eth_call", "eth_call", "eth_getBlockByNumber"]
    _, played = run(node.answer, memory=memory)
    assert [r.label for r in played.requests] == ["eth_getBlockByNumber", "eth_call", "eth_getBlockByNumber"]


@pytest.mark.req("D-09", "X-02")
def test_a_block_replaced_during_a_call_by_number_fails_the_read() -> None:
    node = Node()
    node.takes_hashes = False

    def answer(request: HttpRequest) -> HttpReply:
        reply = node.answer(request)
        if request.label == "eth_call":
            node.mark = "b"
        return reply

    result, _ = run(answer)
    assert "replaced while it was read" in failed(result).detail


@pytest.mark.req("D-28")
def test_a_batch_that_is_refused_is_halved_until_it_fits_and_stays_so() -> None:
    node, memory = Node(), ChainMemory()
    node.largest_batch = 30
    node.tokens = {(CTF.lower(), token): token for token in range(1, 101)}
    read = ReadBalances(wallet="main", tokens=refs(*range(1, 101)))
    found = balances(run(node.answer, read, memory)[0])
    assert {int(token.token_id): token.amount_micro for token in found.tokens} == {n: n for n in range(1, 101)}
    assert memory.batch == 25
    _, played = run(node.answer, read, memory)
    assert [len(one) for one in played.rounds][:2] == [1, 5]


@pytest.mark.req("D-28")
def test_an_rpc_that_refuses_every_call_ends_as_refused() -> None:
    node = Node()
    node.largest_batch = 0
    result, _ = run(node.answer, ReadBalances(wallet="main", tokens=refs(*range(40))))
    assert failed(result).kind is FailureKind.REFUSED
    assert "-32000" in failed(result).detail


def test_a_call_that_ran_at_another_block_is_not_believed() -> None:
    node = Node()
    node.wrong_number = 1
    result, _ = run(node.answer)
    assert failed(result).kind is FailureKind.MALFORMED
    assert "another block" in failed(result).detail


@pytest.mark.req("X-02", "R-31")
def test_a_call_that_ran_at_another_block_once_is_asked_again() -> None:
    """A node at its head does so now and then; the block is pinned anew and the read completes."""
    node = Node()
    node.wrong_number = 1
    asked = 0

    def answer(request: HttpRequest) -> HttpReply:
        nonlocal asked
        if b"eth_call" in (request.body or b""):
            asked += 1
            node.wrong_number = 1 if asked == 1 else 0
        return node.answer(request)

    result, _ = run(answer)
    assert asked > 1
    assert isinstance(result, ReadCompleted)


@pytest.mark.req("R-16")
def test_an_amount_no_wallet_can_hold_is_no_amount() -> None:
    node = Node()
    node.tokens = {(CTF.lower(), 7): 1 << 200}
    assert failed(run(node.answer)[0]).kind is FailureKind.MALFORMED


@pytest.mark.req("S-12")
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failure(FailureKind.TIMEOUT), FailureKind.TIMEOUT),
        (response({"error": "x"}, 429), FailureKind.THROTTLED),
        (response({"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "limit"}}), FailureKind.THROTTLED),
        (response({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "x"}}), FailureKind.REFUSED),
        (response(b"<html></html>", 200, "text/html"), FailureKind.MALFORMED),
        (response([]), FailureKind.MALFORMED),
        (response({"jsonrpc": "2.0", "id": 1, "result": 5}), FailureKind.MALFORMED),
        (response({"jsonrpc": "2.0", "id": 1, "result": "latest"}), FailureKind.MALFORMED),
        (response({"jsonrpc": "2.0", "id": 1, "result": {"number": "0x1"}}), FailureKind.MALFORMED),
        (
            response({"result": {"number": "0x1", "hash": "0x12", "timestamp": "0x1"}}),
            FailureKind.MALFORMED,
        ),
    ],
)
def test_whatever_goes_wrong_ends_as_a_failure_of_its_kind(reply: HttpReply, kind: FailureKind) -> None:
    assert failed(run(lambda _: reply)[0]).kind is kind


@pytest.mark.parametrize("result", ["0x", "0x1234", "nonsense", None, 5])
def test_a_multicall_result_that_is_none_is_not_believed(result: object) -> None:
    node = Node()

    def answer(request: HttpRequest) -> HttpReply:
        if request.label == "eth_call":
            return response({"jsonrpc": "2.0", "id": 1, "result": result})
        return node.answer(request)

    assert failed(run(answer)[0]).kind is FailureKind.MALFORMED


def test_no_message_shows_the_rpc_url() -> None:
    for reply in (failure(), response({}, 500), response(b"x", 200, "text/plain"), response([])):
        result, _ = run(lambda _, reply=reply: reply)  # type: ignore[misc]
        assert "very-secret-key" not in failed(result).detail
