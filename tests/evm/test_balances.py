"""`portfolio-sync sync` beside the ConditionalTokens contract: positions are the contract's, to the base unit.

The Data API rounds, and stays at what it showed first; so equal to the last digit means read from the chain.
"""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from tests.evm.command import Command
from tests.evm.exchange import QuietExchange
from tests.evm.market import OPENING_MICRO, ChainMarket
from tests.support.evm import EvmNode

PROOF = re.compile(r"transaction 0x[0-9a-f]{64}, log \d+, block \d+")
"""The evidence of what the chain's logs show."""


@pytest.fixture
def opened(market: ChainMarket, exchange: QuietExchange, command: Command) -> Command:
    """The service has looked once, and opened with what the wallet held."""
    exchange.show(market.balances())
    command.sync()
    return command


def causes(command: Command) -> list[tuple[str, str, int]]:
    """Cause, token and size of every adjustment since the opening, in the order they happened on the chain."""
    rows = [row for row in command.read("adjustments") if row["cause"] != "OPENING"]
    assert all(PROOF.fullmatch(row["evidence"]) and not row["estimated"] for row in rows), rows
    rows.sort(key=lambda row: [int(part) for part in re.findall(r"(?:block|log) (\d+)", row["evidence"])][::-1])
    return [(row["cause"], row["token_id"], row["size_micro"]) for row in rows]


@pytest.mark.req("S-02", "S-03", "R-23", "L-13", "L-14", "L-16", "D-09", "X-01")
def test_from_opening_through_split_transfer_and_merge_each_position_is_the_contracts(
    opened: Command, market: ChainMarket
) -> None:
    yes, no = str(market.yes), str(market.no)
    assert opened.positions() == market.balances() == {yes: OPENING_MICRO, no: OPENING_MICRO}
    for call in (market.split(333_333_337), market.send(market.yes, 1_000_000_003), market.merge(567_901_225)):
        market.run(call)
        opened.sync()
        assert opened.positions() == market.balances()
    found = causes(opened)
    split, sent, merged = found[:2], found[2], found[3:]
    assert set(split) == {("POSITION_SPLIT", token, 333_333_337) for token in (yes, no)}
    assert sent == ("TRANSFER_OUT", yes, -1_000_000_003)
    assert set(merged) == {("POSITION_MERGED", token, -567_901_225) for token in (yes, no)}
    assert market.balances() == {yes: 0, no: 1_000_000_003}
    assert [row["token_id"] for row in opened.read("positions")] == [no], "a closed position is listed only with --all"


@pytest.mark.req("S-03", "S-21", "L-04", "L-20", "D-09")
def test_all_three_between_two_syncs_leave_the_contracts_balances_and_send_nothing(
    opened: Command, market: ChainMarket
) -> None:
    market.run(market.split(1), market.send(market.no, 500_000_007), market.merge(98_765_433), market.split(2))
    before = market.transactions()
    cycle = opened.sync()
    assert market.transactions() == before, "the wallet sent nothing while it was looked at"
    assert opened.positions() == market.balances()
    kinds = ["POSITION_SPLIT", "TRANSFER_OUT", "POSITION_MERGED", "POSITION_SPLIT"]
    assert [cause for cause, token, _ in causes(opened) if token == str(market.no)] == kinds
    report = cycle["operations_report"]
    assert Decimal(str(report["onchain_balance"])) * 1_000_000 == market.cash_micro()
    assert report["onchain_reconciled"]
    assert opened.run("replay", "--json").document["equal"]


@pytest.mark.req("S-12", "R-01")
def test_a_wrong_chain_or_an_address_without_code_is_named_and_changes_nothing(
    opened: Command, market: ChainMarket
) -> None:
    good, nobody = dict(opened.settings), str(opened.settings["adapter"])
    market.run(market.merge(100_000_001))
    cases = (
        ({"chain_id": 137}, "the RPC's chain id was 31337, expected 137; check polygon.rpc_url"),
        ({"conditional_tokens": nobody}, f"there was no contract at {nobody.lower()} on chain 31337"),
    )
    for bad, complaint in cases:
        opened.settings = good | bad
        ended = opened.run("sync", "--json")
        report = ended.document["operations_report"]
        assert report["status"] == "rpc_unavailable"
        assert any(complaint in reason for reason in report["reasons"]), report["reasons"]
        assert not report["onchain_reconciled"]
    assert set(opened.positions().values()) == {OPENING_MICRO}
    opened.settings = good
    opened.sync()
    assert opened.positions() == market.balances()


@pytest.mark.req("X-02", "R-31")
def test_what_a_reorganisation_of_the_chain_took_back_is_taken_back(
    command: Command, exchange: QuietExchange, market: ChainMarket, node: EvmNode
) -> None:
    before, head = market.balances(), node.web3.eth.block_number
    market.run(market.split(250_000_001))
    exchange.show(market.balances())
    command.sync()
    assert command.positions() == market.balances() != before
    node.reorganise(node.web3.eth.block_number - head)
    assert market.balances() == before
    command.sync()
    assert command.positions() == before
