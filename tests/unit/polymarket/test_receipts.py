"""The reader of receipts: succeeded, reverted, absent, and nothing from a node that cannot be believed (R-10)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from messages.reads import ReadCompleted, ReadFailed, ReadReceipt, ReceiptAnswer
from polymarket.chain_memory import ChainMemory
from polymarket.reading import ReadResult
from polymarket.receipts import read_receipt
from polymarket.requests import HttpReply, HttpRequest
from portfolio.facts import FailureKind, Receipt, ReceiptStatus, Verdict
from tests.unit.polymarket.script import CONTEXT, SETTINGS, Answer, Played, failure, play, response

CAPTURE = json.loads((Path(__file__).parents[2] / "data/receipts/polygon_receipt_b5d41ea9.json").read_bytes())
HASH = CAPTURE["transactionHash"]
HEAD = {"number": "0x533ba00", "hash": "0x" + "AB" * 32, "timestamp": hex(1_700_000_000)}


def node(receipt: object, chain_id: int = 137, head: object = HEAD) -> Answer:
    """Answers with this receipt; a function answers itself."""

    def answer(request: HttpRequest) -> HttpReply:
        call = json.loads(request.body)
        results: dict[str, Any] = {
            "eth_getTransactionReceipt": receipt,
            "eth_getBlockByNumber": head,
            "eth_chainId": hex(chain_id),
        }
        result = results[call["method"]]
        return result() if callable(result) else response({"jsonrpc": "2.0", "id": 1, "result": result})

    return answer


def read(answer: Answer, memory: ChainMemory | None = None, wanted: str = HASH) -> tuple[ReadResult, Played]:
    request = ReadReceipt(wallet="main", transaction_hash=wanted)
    return play(read_receipt(SETTINGS, request, CONTEXT, memory or ChainMemory()), answer)


def receipt_of(result: ReadResult) -> Receipt:
    assert isinstance(result, ReadCompleted), result
    assert isinstance(result.answer, ReceiptAnswer)
    return result.answer.receipt


@pytest.mark.req("R-10", "X-01")
def test_a_captured_receipt_is_a_success_in_its_block() -> None:
    result, played = read(node(CAPTURE))
    assert receipt_of(result) == Receipt(
        transaction_hash=HASH, status=ReceiptStatus.SUCCEEDED, block_number=int(CAPTURE["blockNumber"], 16)
    )
    assert [len(one) for one in played.rounds] == [3], "the chain id and the head cost no round trip"
    call = json.loads(played.requests[0].body)
    assert (call["method"], call["params"]) == ("eth_getTransactionReceipt", [HASH])


@pytest.mark.req("R-10")
def test_a_status_of_zero_is_a_revert() -> None:
    result, _ = read(node(CAPTURE | {"status": "0x0"}))
    assert receipt_of(result).status is ReceiptStatus.REVERTED


@pytest.mark.req("R-10")
@pytest.mark.parametrize("found", [None, {"transactionHash": HASH, "blockNumber": None}])
def test_what_is_in_no_block_is_absent(found: object) -> None:
    result, _ = read(node(found))
    assert receipt_of(result) == Receipt(transaction_hash=HASH, status=ReceiptStatus.ABSENT)


@pytest.mark.req("X-09", "R-27")
def test_the_certificate_names_the_transaction_and_the_newest_block_of_the_node() -> None:
    result, _ = read(node(None))
    assert isinstance(result, ReadCompleted)
    certificate = result.certificate
    assert certificate.parameters == (("wallet", "main"), ("transaction_hash", HASH))
    assert (certificate.verdict, certificate.source, certificate.rows) == (Verdict.COMPLETE, "chain.receipt", 1)
    assert (certificate.block_number, certificate.block_hash) == (0x533BA00, "0x" + "ab" * 32)
    assert certificate.block_time_ms == 1_700_000_000_000


def test_hashes_are_compared_without_regard_to_case() -> None:
    result, _ = read(node(CAPTURE | {"transactionHash": HASH.upper().replace("0X", "0x")}), wanted=HASH.upper())
    assert receipt_of(result).transaction_hash == HASH


@pytest.mark.req("S-12")
def test_the_chain_is_checked_once_and_again_after_a_failure() -> None:
    memory = ChainMemory()
    read(node(CAPTURE), memory)
    _, second = read(node(CAPTURE), memory)
    assert len(second.requests) == 2
    read(node(failure), memory)
    _, third = read(node(CAPTURE), memory)
    assert len(third.requests) == 3


@pytest.mark.req("S-12")
def test_another_chain_is_not_believed() -> None:
    memory = ChainMemory()
    result, _ = read(node(CAPTURE, chain_id=1), memory)
    assert isinstance(result, ReadFailed)
    assert (result.kind, memory.chain_id) == (FailureKind.WRONG_CHAIN, None)
    assert "the RPC's chain id was 1, expected 137" in result.detail


def refused(code: int) -> Callable[[], HttpReply]:
    return lambda: response({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}})


@pytest.mark.req("R-10", "R-16")
@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (failure, FailureKind.TIMEOUT),
        (refused(-32602), FailureKind.REFUSED),
        (refused(-32005), FailureKind.THROTTLED),
        ("0x", FailureKind.MALFORMED),
        ([], FailureKind.MALFORMED),
        ({}, FailureKind.MALFORMED),
        (CAPTURE | {"transactionHash": "0x" + "0" * 64}, FailureKind.MALFORMED),
        (CAPTURE | {"status": "0x2"}, FailureKind.MALFORMED),
        (CAPTURE | {"status": None}, FailureKind.MALFORMED),
        (CAPTURE | {"status": 1}, FailureKind.MALFORMED),
        (CAPTURE | {"blockNumber": "latest"}, FailureKind.MALFORMED),
        (lambda: response(b"<html></html>", 200, "text/html"), FailureKind.MALFORMED),
    ],
)
def test_an_answer_that_cannot_be_believed_is_a_failure_and_never_an_absence(found: object, kind: FailureKind) -> None:
    result, _ = read(node(found))
    assert isinstance(result, ReadFailed)
    assert (result.source, result.kind) == ("chain.receipt", kind)


def test_a_node_without_a_head_proves_nothing() -> None:
    result, _ = read(node(None, head=None))
    assert isinstance(result, ReadFailed)
    assert result.kind is FailureKind.REFUSED
