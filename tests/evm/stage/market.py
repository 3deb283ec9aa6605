"""What can be held: a binary question, alone or in a neg-risk event. All ids are the contracts' own answers."""

from __future__ import annotations

from dataclasses import dataclass

from web3 import Web3

from tests.evm.stage.chain import Chain

NO_PARENT = b"\0" * 32
BOTH = (1, 2)
"""The index sets of YES and NO."""


@dataclass(frozen=True)
class Market:
    """A condition. ``tokens`` are YES and NO; a neg-risk market's ``question`` ends in its index in the event."""

    question: bytes
    condition: bytes
    tokens: tuple[int, int]
    neg_risk: bool

    @property
    def prefix(self) -> str:
        """Of the names of the contracts that serve it."""
        return "neg_risk_" if self.neg_risk else ""


@dataclass(frozen=True)
class Event:
    """A neg-risk group: one of ``markets`` may be answered YES."""

    market_id: bytes
    markets: tuple[Market, ...]
    fee_bips: int


def open_market(chain: Chain, name: str) -> Market:
    """Ask a question on bridged USDC. ``name`` makes it: no two may have the same."""
    question = bytes(Web3.keccak(text=name))
    oracle, tokens = chain.address("deployer"), chain.contract("conditional_tokens").functions
    chain.send(oracle, tokens.prepareCondition(oracle, question, 2))
    return _market(chain, question, neg_risk=False)


def open_event(chain: Chain, name: str, questions: int, fee_bips: int) -> Event:
    """Ask as many questions, of which at most one is answered YES."""
    oracle, adapter = chain.address("deployer"), chain.contract("neg_risk_adapter").functions
    prepared = adapter.prepareMarket(fee_bips, name.encode())
    market_id = bytes(prepared.call({"from": oracle}))
    with chain.together():
        chain.send(oracle, prepared)
        for index in range(questions):
            chain.send(oracle, adapter.prepareQuestion(market_id, f"{name} {index}".encode()))
    asked = [market_id[:-1] + bytes([index]) for index in range(questions)]
    return Event(market_id, tuple(_market(chain, each, neg_risk=True) for each in asked), fee_bips)


def answer(chain: Chain, market: Market, payouts: tuple[int, int]) -> str:
    """Report the outcome, by the oracle; (1, 0) is YES, (1, 1) a half each, which only a standard market can have."""
    oracle = chain.address("deployer")
    if market.neg_risk:
        assert payouts in {(1, 0), (0, 1)}, "the neg-risk adapter takes yes or no"
        return chain.send(
            oracle, chain.contract("neg_risk_adapter").functions.reportOutcome(market.question, payouts == (1, 0))
        )
    return chain.send(
        oracle, chain.contract("conditional_tokens").functions.reportPayouts(market.question, list(payouts))
    )


def _market(chain: Chain, question: bytes, *, neg_risk: bool) -> Market:
    contract = chain.contract("conditional_tokens").functions
    oracle = chain.address("neg_risk_adapter" if neg_risk else "deployer")
    collateral = chain.address("wrapped_collateral" if neg_risk else "usdc_e")
    condition = bytes(contract.getConditionId(oracle, question, 2).call())
    collections = [contract.getCollectionId(NO_PARENT, condition, each).call() for each in BOTH]
    yes, no = (contract.getPositionId(collateral, each).call() for each in collections)
    chain.tokens += [yes, no]
    return Market(question, condition, (yes, no), neg_risk)
