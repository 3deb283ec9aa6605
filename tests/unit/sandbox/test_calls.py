"""What the contracts answer to eth_call, at the head and in the past."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from polymarket.sandbox import addresses
from polymarket.sandbox.actions import Resolve
from polymarket.sandbox.chain import Block
from polymarket.sandbox.server_calls import Calls, ExecutionRevertedError
from polymarket.sandbox.world import World
from tests.unit.sandbox.worlds import do, world

pytestmark = pytest.mark.req("X-07")


@pytest.fixture(scope="module")
def here() -> World:
    """A world whose first neg-risk question was answered YES."""
    made = world()
    do(made, Resolve(condition_id=made.directory.markets[-3].condition_id, payouts=[1, 0]))
    return made


def data(signature: str, *arguments: Any) -> bytes:
    """A call's bytes."""
    inputs = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(_types(inputs), arguments)


def _types(inputs: str) -> list[str]:
    if inputs.startswith("bool,("):
        return ["bool", inputs.removeprefix("bool,")]
    return [inputs] if inputs.startswith("(") else list(filter(None, inputs.split(",")))


def ask(here: World, target: str, returns: str, call: bytes, block: Block | None = None) -> Any:
    """The decoded single result of a call."""
    return decode([returns], Calls(here, block or here.chain.head).call(target, call))[0]


def id_bytes(text: str | None) -> bytes:
    return bytes.fromhex((text or "")[2:])


@pytest.mark.req("R-18")
def test_token_ids_are_computed_for_whoever_asks(here: World) -> None:
    contract, nothing = addresses.CONDITIONAL_TOKENS, b"\0" * 32
    standard, v2, question = here.directory.markets[0], addresses.POSITION_MANAGER, here.directory.markets[-1]
    for market, collateral in ((standard, addresses.USDC_E), (question, addresses.WCOL)):
        for index_set, token in zip((1, 2), market.tokens, strict=True):
            call = data("getCollectionId(bytes32,bytes32,uint256)", nothing, id_bytes(market.condition_id), index_set)
            collection = ask(here, contract, "bytes32", call)
            call = data("getPositionId(address,bytes32)", collateral, collection)
            assert ask(here, contract, "uint256", call) == int(token)
    for target, parent in ((v2, nothing), (contract, b"\1" * 32)):
        call = data("getCollectionId(bytes32,bytes32,uint256)", parent, id_bytes(standard.condition_id), 1)
        with pytest.raises(ExecutionRevertedError):
            ask(here, target, "bytes32", call)


def test_a_neg_risk_event_tells_its_questions_fee_and_winner(here: World) -> None:
    event = id_bytes(here.directory.markets[-1].neg_risk_market_id)
    adapter = addresses.NEG_RISK_ADAPTER
    assert ask(here, adapter, "uint256", data("getQuestionCount(bytes32)", event)) == 3
    assert ask(here, adapter, "uint256", data("getFeeBips(bytes32)", event)) == 0
    assert ask(here, adapter, "bool", data("getDetermined(bytes32)", event)) is True
    assert ask(here, adapter, "uint256", data("getResult(bytes32)", event)) == 0
    before = here.chain.block(here.chain.head.number - 1)
    assert ask(here, adapter, "bool", data("getDetermined(bytes32)", event), before) is False
    assert ask(here, adapter, "uint256", data("getQuestionCount(bytes32)", b"\1" * 32)) == 0


def test_payouts_are_known_from_the_block_of_the_report_on(here: World) -> None:
    condition = id_bytes(here.directory.markets[-3].condition_id)
    ctf = addresses.CONDITIONAL_TOKENS
    numerators = [
        ask(here, ctf, "uint256", data("payoutNumerators(bytes32,uint256)", condition, slot)) for slot in (0, 1)
    ]
    assert numerators == [1, 0]
    assert ask(here, ctf, "uint256", data("payoutDenominator(bytes32)", condition)) == 1
    assert ask(here, ctf, "uint256", data("getOutcomeSlotCount(bytes32)", condition)) == 2
    assert ask(here, ctf, "uint256", data("getOutcomeSlotCount(bytes32)", b"\1" * 32)) == 0
    before = here.chain.block(here.chain.head.number - 1)
    assert ask(here, ctf, "uint256", data("payoutDenominator(bytes32)", condition), before) == 0
    with pytest.raises(ExecutionRevertedError):
        ask(here, ctf, "uint256", data("payoutNumerators(bytes32,uint256)", condition, 2))


def test_coins_have_decimals_names_and_balances_and_operators_are_approved(here: World) -> None:
    wallet = here.wallet.address
    for coin, name in ((addresses.PUSD, "pUSD"), (addresses.USDC_E, "USDC.e"), (addresses.WCOL, "WCOL")):
        assert ask(here, coin, "uint8", data("decimals()")) == 6
        assert ask(here, coin, "string", data("symbol()")) == name
    assert ask(here, addresses.PUSD, "uint256", data("balanceOf(address)", wallet)) == here.cash()["pusd"]
    approved = data("isApprovedForAll(address,address)", wallet, addresses.EXCHANGE)
    assert ask(here, addresses.CONDITIONAL_TOKENS, "bool", approved) is True


def test_the_multicall_knows_its_block_and_the_hashes_before_it(here: World) -> None:
    multicall, head = addresses.MULTICALL, here.chain.head
    assert ask(here, multicall, "uint256", data("getBlockNumber()")) == head.number
    assert ask(here, multicall, "uint256", data("getCurrentBlockTimestamp()")) == head.timestamp_s
    parent = ask(here, multicall, "bytes32", data("getBlockHash(uint256)", head.number - 1))
    assert "0x" + parent.hex() == head.parent_hash
    assert ask(here, multicall, "bytes32", data("getBlockHash(uint256)", head.number)) == b"\0" * 32


def test_multicalls_either_require_success_or_report_failure(here: World) -> None:
    good, bad = (addresses.PUSD, data("decimals()")), (addresses.PUSD, b"\1\2\3\4")
    calls, multicall = Calls(here, here.chain.head), addresses.MULTICALL
    attempted = calls.call(multicall, data("tryAggregate(bool,(address,bytes)[])", False, [good, bad]))
    assert [success for success, _ in decode(["(bool,bytes)[]"], attempted)[0]] == [True, False]
    number, results = decode(
        ["uint256", "bytes[]"], calls.call(multicall, data("aggregate((address,bytes)[])", [good, good]))
    )
    assert (number, [int.from_bytes(one, "big") for one in results]) == (here.chain.head.number, [6, 6])
    with pytest.raises(ExecutionRevertedError, match="call failed"):
        calls.call(multicall, data("aggregate3((address,bool,bytes)[])", [(bad[0], False, bad[1])]))


def test_an_address_without_code_answers_nothing_and_broken_arguments_revert(here: World) -> None:
    calls = Calls(here, here.chain.head, frozenset({addresses.PUSD.lower()}))
    assert calls.call(here.wallet.address, data("decimals()")) == b""
    assert calls.call(addresses.PUSD, data("decimals()")) == b""
    with pytest.raises(ExecutionRevertedError):
        calls.call(addresses.CONDITIONAL_TOKENS, data("getOutcomeSlotCount(bytes32)", b"\1" * 32)[:20])
    with pytest.raises(ExecutionRevertedError):
        calls.call(addresses.EXCHANGE, b"\1\2\3\4")
