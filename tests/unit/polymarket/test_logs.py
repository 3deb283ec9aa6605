"""The reader of logs: what it asks, what it makes of the answers, and which chain they are of."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from messages.reads import ReadCompleted
from polymarket import logs as reader
from polymarket.chain_memory import ChainMemory
from portfolio.chain import OrderFilled, PositionSplit, TokenTransfer
from portfolio.facts import FailureKind, Verdict
from tests.unit.polymarket import raw_logs as raw
from tests.unit.polymarket.log_node import LogNode, answer_of, ask, failure_of, transactions
from tests.unit.polymarket.script import FUNDER

OTHER = "0x" + "bb" * 20
YES, NO = 11, 12


def bought(wallet: str = FUNDER, shares: int = 50, paid: int = 20, fee: int = 1) -> tuple[raw.Raw, ...]:
    """A taker's BUY, with ten more collateral handed over than needed and given back."""
    return (
        raw.paid(wallet, raw.EXCHANGE, paid + fee + 10),
        raw.moved(raw.EXCHANGE, wallet, YES, shares),
        raw.paid(raw.EXCHANGE, wallet, 10),
        raw.filled(wallet, raw.EXCHANGE, 0, YES, (paid, shares, fee)),
    )


def sold(wallet: str = FUNDER, shares: int = 50, got: int = 20, fee: int = 1) -> tuple[raw.Raw, ...]:
    return (
        raw.moved(wallet, raw.STRANGER, YES, shares),
        raw.paid(raw.EXCHANGE, wallet, got - fee),
        raw.filled(wallet, raw.STRANGER, 1, YES, (shares, got, fee)),
    )


def split(wallet: str = FUNDER, micro: int = 7) -> tuple[raw.Raw, ...]:
    return (
        raw.paid(wallet, raw.ADAPTER, micro),
        raw.ctf_change("CTF_POSITION_SPLIT", raw.ADAPTER, micro),
        raw.moved_together(raw.ADAPTER, wallet, {YES: micro, NO: micro}),
    )


@pytest.mark.req("X-01", "R-19")
def test_a_fill_is_read_with_its_wallets_logs_alone() -> None:
    node = LogNode()
    name = node.add(40, *bought())
    node.add(41, *bought(raw.STRANGER))
    (transaction,) = transactions(ask(node)[0])
    assert (transaction.transaction_hash, transaction.block_number, transaction.complete) == (name, 40, False)
    assert (transaction.block_hash, transaction.block_time_ms) == (node.hash_of(40), 1_700_000_040_000)
    assert [log.log_index for log in transaction.logs] == [0, 1, 2, 3]
    assert isinstance(transaction.logs[3], OrderFilled)
    assert [len(methods) for methods in node.methods] == [4, 5], "heads, then the logs between two looks at the last"


@pytest.mark.req("X-01", "R-19")
def test_what_fills_do_not_explain_comes_with_all_its_logs() -> None:
    node = LogNode()
    node.add(40, *split(raw.STRANGER), *split())
    (transaction,) = transactions(ask(node)[0])
    assert transaction.complete
    assert [log.log_index for log in transaction.logs] == [0, 1, 2, 2, 3, 4, 5, 5], "the other user's part too"
    assert [log.log_index for log in transaction.logs if isinstance(log, PositionSplit)] == [1, 4]
    assert node.methods[-1] == ["eth_getTransactionReceipt"]


@pytest.mark.req("X-01", "R-20")
@pytest.mark.parametrize(
    ("logs", "complete"),
    [
        (bought(), False),
        (sold(), False),
        ((*bought(), *sold(OTHER)), False),
        ((*bought(), raw.paid(FUNDER, raw.STRANGER, 1)), True),
        ((*bought(), *split()), True),
        ((*bought(), raw.moved(raw.STRANGER, FUNDER, NO, 1)), True),
        (bought(fee=1)[1:], True),
        ((raw.filled(FUNDER, raw.STRANGER, 0, YES, (5, 9, 0)),), True),
        ((raw.paid(raw.STRANGER, FUNDER, 5),), True),
        ((raw.paid(FUNDER, raw.STRANGER, 0),), True),
        ((*bought(), raw.paid(FUNDER, raw.STRANGER, 1, raw.USDC_E)), True),
    ],
)
def test_all_logs_are_fetched_exactly_where_the_net_of_the_fills_is_not_what_moved(
    logs: tuple[raw.Raw, ...], complete: bool
) -> None:
    node = LogNode()
    node.add(40, *logs)
    (transaction,) = transactions(ask(node, wallets=(FUNDER, OTHER))[0])
    assert transaction.complete is complete
    assert len(transaction.logs) >= len(logs)


@pytest.mark.req("X-01", "R-19")
def test_no_filter_can_return_other_users_events() -> None:
    node = LogNode()
    ask(node, wallets=(FUNDER.upper().replace("0X", "0x"), OTHER))
    filters = [params[0] for request in node.requests for method, params in request if method == "eth_getLogs"]
    whose = ["0x" + "0" * 24 + wallet[2:] for wallet in (FUNDER, OTHER)]
    assert [each["topics"].index(whose) for each in filters] == [1, 2, 3]
    assert all(each["topics"][0] and each["address"] for each in filters)
    ask(node, wallets=())
    assert "eth_getLogs" not in node.methods[-1], "an empty list of topics would be everybody's"


@pytest.mark.req("X-01")
def test_a_log_that_two_filters_find_is_one_log() -> None:
    node = LogNode()
    node.add(40, raw.moved(FUNDER, FUNDER, YES, 5))
    (transaction,) = transactions(ask(node)[0])
    assert [type(log) for log in transaction.logs] == [TokenTransfer]


@pytest.mark.req("X-01")
def test_transactions_come_by_block_and_log_whatever_the_order_of_the_answers() -> None:
    node = LogNode()
    names = [node.add(block, *bought()) for block in (60, 40, 40, 50)]
    found = [transaction.transaction_hash for transaction in transactions(ask(node)[0])]
    assert found == [names[1], names[2], names[3], names[0]]


@pytest.mark.req("X-14", "R-31")
def test_the_answer_says_how_far_it_goes_and_how_firm_that_is() -> None:
    node = LogNode()
    answer = answer_of(ask(node, from_block=31)[0])
    assert (answer.from_block, answer.to_block, answer.to_hash) == (31, 100, node.hash_of(100))
    assert (answer.head, answer.safe, answer.finalized, answer.replaced) == (100, 98, 90, ())
    node.tags = {"safe": None, "finalized": 105}
    again = answer_of(ask(node, to_block=60)[0])
    assert (again.to_block, again.safe, again.finalized) == (60, None, 100), "no tag is surer than the head"


@pytest.mark.req("X-09")
def test_the_certificate_names_the_block_and_the_place_of_the_endpoint() -> None:
    node = LogNode()
    node.add(40, *bought())
    result, _ = ask(node)
    assert isinstance(result, ReadCompleted)
    certificate = result.certificate
    assert (certificate.source, certificate.verdict, certificate.rows) == ("chain.logs", Verdict.COMPLETE, 1)
    assert (certificate.block_number, certificate.block_hash) == (100, node.hash_of(100))
    assert certificate.block_time_ms == 1_700_000_100_000
    assert dict(certificate.parameters) == {
        "wallet": "main",
        "addresses": FUNDER,
        "from_block": "1",
        "to_block": "100",
        "endpoint": "1",
    }


@pytest.mark.req("X-09", "R-16")
def test_a_log_that_cannot_be_believed_makes_the_reading_partial() -> None:
    node = LogNode()
    node.add(40, *bought())
    node.logs[1]["data"] = "0x"
    result, _ = ask(node)
    assert isinstance(result, ReadCompleted)
    assert (result.certificate.verdict, result.certificate.rejected_rows) == (Verdict.PARTIAL, 1)
    assert "data was 0 words long" in result.certificate.reason


@pytest.mark.req("X-01")
def test_times_are_asked_for_where_the_node_gives_none_with_its_logs() -> None:
    node = LogNode()
    node.timed = False
    for block in (40, 40, 50):
        node.add(block, *bought())
    node.add(60, *split())
    found = transactions(ask(node)[0])
    assert [each.block_time_ms for each in found] == [1_700_000_000_000 + 1000 * n for n in (40, 40, 50, 60)]
    assert node.methods[-1] == ["eth_getBlockByNumber"] * 2 + ["eth_getTransactionReceipt", "eth_getBlockByNumber"]


@pytest.mark.req("X-01")
def test_a_catch_up_costs_one_request_a_range_and_follow_ups_ride_along() -> None:
    node = LogNode(head=95_000)
    for block in range(1_000, 95_000, 500):
        node.add(block, *split())
    memory = ChainMemory()
    found = answer_of(ask(node, memory)[0])
    assert (found.to_block, len(found.transactions)) == (95_000, 188)
    assert all(each.complete for each in found.transactions)
    assert len(node.requests) == 1 + 10 + 1, "the head, ten ranges, and what was left to be asked after the last"
    node.requests.clear()
    ask(node, memory, from_block=20_000, to_block=24_000)
    assert len(node.requests) == 2, "a range that is known to be there, and its receipts"


@pytest.mark.req("X-01")
def test_a_read_ends_after_so_many_ranges_or_logs_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    node = LogNode(head=1_000)
    for block in range(1, 1_000, 10):
        node.add(block, *bought())
    assert answer_of(ask(node, range_blocks=10)[0]).to_block == reader.RANGES_MAX * 10
    monkeypatch.setattr(reader, "LOGS_MAX", 40)
    assert answer_of(ask(node, range_blocks=50)[0]).to_block == 100, "five fills of four logs in each fifty blocks"


@pytest.mark.req("X-01")
def test_nothing_is_covered_while_the_node_is_not_so_far() -> None:
    node = LogNode()
    for to_block in (None, 110):
        answer = answer_of(ask(node, from_block=101, to_block=to_block)[0])
        assert (answer.to_block, answer.to_hash, answer.head, answer.transactions) == (100, "", 100, ())
    assert answer_of(ask(node, from_block=91, to_block=110)[0]).to_block == 100, "what is there is read"


@pytest.mark.req("X-01", "X-14")
def test_a_known_block_that_was_replaced_is_told_and_nothing_is_read_beyond_it() -> None:
    node = LogNode()
    known = tuple((number, node.hash_of(number)) for number in (80, 90, 95))
    node.reorganise(88)
    node.add(97, *bought())
    for to_block in (None, 99):
        answer = answer_of(ask(node, from_block=96, to_block=to_block, known=known)[0])
        assert (answer.replaced, answer.to_block, answer.transactions) == (known[1:], 95, ())
    assert answer_of(ask(node, from_block=81, known=known[:1])[0]).replaced == ()


@pytest.mark.req("X-01")
def test_a_known_block_that_the_node_has_not_is_waited_for() -> None:
    node = LogNode(head=94)
    known = ((95, node.hash_of(95)),)
    for to_block in (None, 99):
        answer = answer_of(ask(node, from_block=96, to_block=to_block, known=known)[0])
        assert (answer.replaced, answer.to_block) == ((), 95)


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    ("method", "call", "from_block"),
    [
        ("eth_getLogs", 1, 1),
        ("eth_getLogs", 3, 1),
        ("eth_getTransactionReceipt", 1, 1),
        ("eth_getLogs", 4, 1),
    ],
)
def test_nothing_of_two_chains_is_mixed(method: str, call: int, from_block: int) -> None:
    node = LogNode()
    node.add(30, *split())
    node.add(99, *bought())
    counted = itertools.count(1)

    def before(what: str, _params: list[Any]) -> None:
        if what == method and next(counted) == call:
            node.reorganise(20)

    node.before = before
    kind, detail = failure_of(ask(node, from_block=from_block, range_blocks=50)[0])
    assert kind is FailureKind.REFUSED
    assert "was replaced while its logs were read" in detail


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        ({"blockNumber": hex(200)}, "outside of the range 1 to 100"),
        ({"blockHash": "0x" + "12" * 32}, "was replaced while its logs were read"),
        ({"logIndex": hex(0), "transactionHash": f"0x{1:064x}"}, "two different logs 0 came"),
        (raw.paid(raw.STRANGER, OTHER, 1), "names none of the wallets"),
        (raw.ctf_change("CTF_POSITION_SPLIT", FUNDER, 1), "names none of the wallets"),
    ],
)
def test_logs_that_contradict_the_question_or_each_other_are_not_believed(spoil: raw.Raw, detail: str) -> None:
    node = LogNode()
    node.add(100, *bought())
    honest = node.eth_getLogs
    node.eth_getLogs = lambda wanted: [log | (spoil if n == 1 else {}) for n, log in enumerate(honest(wanted))]  # type: ignore[method-assign]
    kind, said = failure_of(ask(node)[0])
    assert kind in {FailureKind.MALFORMED, FailureKind.REFUSED}
    assert detail in said


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    ("block", "spoil", "detail"),
    [
        (100, {"blockHash": "0x" + "12" * 32}, "block 100 was replaced"),
        (95, {"blockHash": "0x" + "12" * 32}, "block 95 was replaced"),
        (40, {"blockHash": "0x" + "12" * 32}, "block 40 was replaced"),
        (41, {"transactionHash": f"0x{1:064x}"}, "block 41 was replaced"),
    ],
)
def test_a_block_has_one_hash_and_a_transaction_one_block(block: int, spoil: raw.Raw, detail: str) -> None:
    node = LogNode()
    node.add(40, *bought())
    node.add(block, raw.paid(raw.STRANGER, FUNDER, 1))
    node.logs[-1] |= spoil
    kind, said = failure_of(ask(node, known=((95, node.hash_of(95)),))[0])
    assert kind is FailureKind.REFUSED
    assert detail in said


@pytest.mark.req("X-01")
def test_a_time_is_that_of_the_logs_own_block() -> None:
    node = LogNode()
    node.timed = False
    node.add(40, *bought())

    def before(_method: str, params: list[Any]) -> None:
        if params[:1] == [hex(40)]:
            node.marks[40] = "b"

    node.before = before
    assert "block 40 was replaced" in failure_of(ask(node)[0])[1]


@pytest.mark.req("X-01")
def test_results_of_another_shape_are_malformed() -> None:
    for method in ("eth_getLogs", "eth_chainId", "eth_getBlockByNumber"):
        node = LogNode()
        setattr(node, method, lambda *_params: {"is": "not this"})
        assert failure_of(ask(node)[0])[0] is FailureKind.MALFORMED


@pytest.mark.req("X-01")
def test_a_node_without_a_head_proves_nothing() -> None:
    node = LogNode()
    node.eth_getBlockByNumber = lambda tag, _full: None  # type: ignore[method-assign]
    kind, detail = failure_of(ask(node)[0])
    assert kind is FailureKind.REFUSED
    assert "had no latest block" in detail


@pytest.mark.req("X-01")
def test_a_header_of_another_block_is_not_believed() -> None:
    node = LogNode()
    honest = node.eth_getBlockByNumber
    node.eth_getBlockByNumber = lambda tag, _full: honest(hex(99) if tag == hex(100) else tag, _full)  # type: ignore[method-assign]
    kind, detail = failure_of(ask(node)[0])
    assert kind is FailureKind.MALFORMED
    assert "block 99 came, expected block 100" in detail


@pytest.mark.req("X-01")
def test_logs_of_another_transaction_in_a_receipt_are_passed_over() -> None:
    node = LogNode()
    name, other = node.add(40, *split()), node.add(41, *bought())
    honest = node.eth_getTransactionReceipt(name)
    assert honest is not None
    mixed = honest | {"logs": [*honest["logs"], *node.logs[-2:]]}
    node.eth_getTransactionReceipt = lambda name: mixed  # type: ignore[method-assign]
    found = {each.transaction_hash: (each.complete, len(each.logs)) for each in transactions(ask(node)[0])}
    assert found == {name: (True, 4), other: (False, 4)}


@pytest.mark.req("X-01")
@pytest.mark.parametrize(
    ("receipt", "kind", "detail"),
    [
        (None, FailureKind.REFUSED, "block 40 was replaced"),
        ({"blockHash": "0x" + "12" * 32}, FailureKind.REFUSED, "block 40 was replaced"),
        ({"logs": []}, FailureKind.MALFORMED, "lacks logs that the filters found"),
        ({"logs": {}}, FailureKind.MALFORMED, "was not a receipt with its logs"),
    ],
)
def test_a_receipt_that_is_not_of_the_logs_is_not_believed(
    receipt: raw.Raw | None, kind: FailureKind, detail: str
) -> None:
    node = LogNode()
    name = node.add(40, *split())
    honest = node.eth_getTransactionReceipt(name)
    assert honest is not None
    node.eth_getTransactionReceipt = lambda name: None if receipt is None else honest | receipt  # type: ignore[method-assign]
    found, said = failure_of(ask(node)[0])
    assert found is kind
    assert detail in said


@pytest.mark.req("S-12")
def test_another_chain_is_not_believed_and_the_right_one_is_asked_for_once() -> None:
    node = LogNode()
    memory = ChainMemory()
    ask(node, memory)
    ask(node, memory)
    assert sum(methods.count("eth_chainId") for methods in node.methods) == 1
    node.chain_id = 1
    kind, detail = failure_of(ask(node)[0])
    assert kind is FailureKind.WRONG_CHAIN
    assert "the RPC's chain id was 1, expected 137" in detail
