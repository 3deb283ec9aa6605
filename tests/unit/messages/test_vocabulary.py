"""The messages that actors exchange: immutable, tagged apart, and never mistaken for one another."""

from __future__ import annotations

import inspect
from types import ModuleType

import msgspec
import pytest

from messages import control, cycle, ledger, reads
from messages.control import Answer, ResumeStrategy
from messages.reads import ReadBalances, ReadOpenOrders, ReadOrder
from portfolio import events
from portfolio.facts import TokenRef

MODULES = (control, cycle, reads, events)


def structs() -> list[type[msgspec.Struct]]:
    """Every message that a module of ours defines, once whatever its aliases."""
    found = {
        struct: None
        for module in (*MODULES, ledger)
        for _, struct in inspect.getmembers(module, inspect.isclass)
        if issubclass(struct, msgspec.Struct) and struct.__module__ == module.__name__
    }
    return list(found)


@pytest.mark.parametrize("message", structs(), ids=lambda message: f"{message.__module__}.{message.__name__}")
def test_a_message_is_immutable_and_says_what_it_means(message: type[msgspec.Struct]) -> None:
    assert message.__struct_config__.frozen
    assert message.__doc__


@pytest.mark.parametrize("module", MODULES)
def test_no_two_messages_of_a_module_have_one_tag(module: ModuleType) -> None:
    tags = [
        struct.__struct_config__.tag
        for struct in structs()
        if struct.__module__ == module.__name__ and struct.__struct_config__.tag is not None
    ]
    assert tags
    assert len(set(tags)) == len(tags)


@pytest.mark.req("D-06")
def test_a_read_is_told_apart_by_its_tag_alone() -> None:
    wanted: tuple[reads.Read, ...] = (
        ReadOpenOrders(wallet="main"),
        ReadOrder(wallet="main", order_id="o1"),
        ReadBalances(wallet="main", tokens=(TokenRef(contract="0xctf", token_id="1"),)),
    )
    for read in wanted:
        assert msgspec.json.decode(msgspec.json.encode(read), type=reads.Read) == read


@pytest.mark.req("S-19", "S-06")
def test_a_command_crosses_the_control_socket_unchanged() -> None:
    command = ResumeStrategy(request_id="r1", strategy_id="s1", operator="ada", reason="looked at it")
    assert msgspec.json.decode(msgspec.json.encode(command), type=control.Command) == command


def test_an_answer_without_a_body_is_null() -> None:
    assert msgspec.json.decode(Answer(request_id="r1", ok=True, detail="").body) is None
