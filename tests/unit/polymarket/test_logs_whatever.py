"""The reader of logs over random histories: the same whatever a node takes at once, and never of two chains."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.reads import ReadCompleted
from polymarket.chain_memory import ChainMemory
from portfolio.facts import FailureKind
from tests.unit.polymarket import raw_logs as raw
from tests.unit.polymarket.log_node import LogNode, answer_of, ask, failure_of
from tests.unit.polymarket.script import FUNDER, response
from tests.unit.polymarket.test_logs import bought, sold, split

KINDS = {
    "bought": bought(),
    "sold": sold(),
    "split": split(),
    "paid": (raw.paid(raw.STRANGER, FUNDER, 3),),
    "fill and gift": (*bought(), raw.moved(raw.STRANGER, FUNDER, 99, 1)),
    "theirs": split(raw.STRANGER),
}
HISTORIES = st.lists(st.tuples(st.integers(1, 100), st.sampled_from(sorted(KINDS))), max_size=12)


def node_of(history: list[tuple[int, str]]) -> LogNode:
    node = LogNode()
    for block, kind in history:
        node.add(block, *KINDS[kind])
    return node


def expected(node: LogNode, last: int) -> dict[str, tuple[str, int]]:
    """Of the wallet's transactions up to a block: the hash of the block, and how many logs a full look finds."""
    mine = {log["transactionHash"] for log in node.logs if any(FUNDER[2:] in topic for topic in log["topics"])}
    return {
        name: (logs[0]["blockHash"], len(logs))
        for name in mine
        if int((logs := [log for log in node.logs if log["transactionHash"] == name])[0]["blockNumber"], 16) <= last
    }


def found(result: Any) -> dict[str, tuple[str, int]]:
    return {
        each.transaction_hash: (each.block_hash, len({log.log_index for log in each.logs}))
        for each in answer_of(result).transactions
    }


@pytest.mark.req("X-01")
@given(
    history=HISTORIES,
    calls=st.integers(2, 40),
    arrays=st.booleans(),
    blocks=st.none() | st.integers(15, 60),
    timed=st.booleans(),
    asked=st.none() | st.integers(20, 120),
)
def test_what_a_node_takes_at_once_changes_nothing(
    history: list[tuple[int, str]], calls: int, arrays: bool, blocks: int | None, timed: bool, asked: int | None
) -> None:
    node, memory = node_of(history), ChainMemory()
    node.most_calls, node.most_blocks = calls, blocks
    if not timed:
        node.logs = [{key: value for key, value in log.items() if key != "blockTimestamp"} for log in node.logs]
    if not arrays:
        node.array_refusal = lambda: response({"error": {"code": -32600, "message": "no"}})
    seen: dict[str, tuple[str, int]] = {}
    covered = 0
    while covered < 100:
        result, _ = ask(node, memory, from_block=covered + 1, range_blocks=asked)
        answer = answer_of(result)
        assert answer.to_block > covered
        assert answer.to_hash == node.hash_of(answer.to_block)
        for each in answer.transactions:
            assert each.block_time_ms == 1_700_000_000_000 + each.block_number * 1000
        seen |= found(result)
        covered = answer.to_block
    assert seen == expected(node, 100)


@pytest.mark.req("X-01", "X-14")
@given(
    history=HISTORIES,
    later=HISTORIES,
    at_call=st.integers(1, 60),
    fork=st.integers(1, 100),
    arrays=st.booleans(),
    known=st.none() | st.integers(1, 40),
)
def test_a_reorganisation_at_any_moment_leaves_an_answer_of_one_chain_or_none(
    history: list[tuple[int, str]],
    later: list[tuple[int, str]],
    at_call: int,
    fork: int,
    arrays: bool,
    known: int | None,
) -> None:
    node, counted = node_of(history), iter(range(1, 10_000))
    old = node_of(history)
    if not arrays:
        node.array_refusal = lambda: response({"error": {"code": -32600, "message": "no"}})

    def before(_method: str, _params: Any) -> None:
        if next(counted) == at_call:
            node.reorganise(fork)
            for block, kind in later:
                if block >= fork:
                    node.add(block, *KINDS[kind])

    node.before = before
    first = 1 if known is None else known + 1
    tail: tuple[tuple[int, str], ...] = () if known is None else ((known, old.hash_of(known)),)
    result, _ = ask(node, from_block=first, range_blocks=30, known=tail)
    if not isinstance(result, ReadCompleted):
        assert failure_of(result)[0] is FailureKind.REFUSED
        return
    answer = answer_of(result)
    if answer.to_block < first:
        assert answer.replaced == tail
        assert answer.transactions == ()
        return
    chain = old if answer.to_hash == old.hash_of(answer.to_block) else node
    assert answer.to_hash == chain.hash_of(answer.to_block)
    assert all(chain.hash_of(number) == was for number, was in tail)
    wanted = expected(chain, answer.to_block)
    before_first = expected(chain, first - 1)
    assert found(result) == {name: what for name, what in wanted.items() if name not in before_first}
