"""Logs as a node writes them, made with keccak and ``eth_abi`` alone: nothing of the code under test."""

from __future__ import annotations

from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from polymarket.settings import PolymarketSettings

Raw = dict[str, Any]

_DEFAULTS = PolymarketSettings()
CTF = _DEFAULTS.conditional_tokens.lower()
NRA = _DEFAULTS.neg_risk_adapter.lower()
POSITION_MANAGER = _DEFAULTS.position_contracts[0].lower()
PUSD = _DEFAULTS.collateral.lower()
USDC_E = _DEFAULTS.usdc_e.lower()
EXCHANGE = _DEFAULTS.exchanges[0].lower()
ADAPTER = "0x" + "ad" * 20
STRANGER = "0x" + "57" * 20
NOBODY = "0x" + "00" * 20
CONDITION = "0x" + "c0" * 32
MARKET = "0x" + "e0" * 31 + "00"
ORDER = "0x" + "0d" * 32

SIGNATURES = {
    "TRANSFER": "Transfer(address,address,uint256)",
    "TRANSFER_SINGLE": "TransferSingle(address,address,address,uint256,uint256)",
    "TRANSFER_BATCH": "TransferBatch(address,address,address,uint256[],uint256[])",
    "ORDER_FILLED": ("OrderFilled(bytes32,address,address,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)"),
    "CONDITION_RESOLUTION": "ConditionResolution(bytes32,address,bytes32,uint256,uint256[])",
    "CTF_POSITION_SPLIT": "PositionSplit(address,address,bytes32,bytes32,uint256[],uint256)",
    "CTF_POSITIONS_MERGE": "PositionsMerge(address,address,bytes32,bytes32,uint256[],uint256)",
    "CTF_PAYOUT_REDEMPTION": "PayoutRedemption(address,address,bytes32,bytes32,uint256[],uint256)",
    "NRA_POSITION_SPLIT": "PositionSplit(address,bytes32,uint256)",
    "NRA_POSITIONS_MERGE": "PositionsMerge(address,bytes32,uint256)",
    "NRA_POSITIONS_CONVERTED": "PositionsConverted(address,bytes32,uint256,uint256)",
    "NRA_PAYOUT_REDEMPTION": "PayoutRedemption(address,bytes32,uint256[],uint256)",
    "WRAPPED": "Wrapped(address,address,address,uint256)",
    "UNWRAPPED": "Unwrapped(address,address,address,uint256)",
}
"""By the name that the product's constant of its topic has."""


def topic0(name: str) -> str:
    return "0x" + keccak(text=SIGNATURES[name]).hex()


def log(contract: str, name: str, indexed: list[str | int], types: list[str], values: list[Any]) -> Raw:
    """A log without its place. Indexed values are addresses, words in hexadecimal or integers."""
    words = [f"0x{value:064x}" if isinstance(value, int) else "0x" + value[2:].rjust(64, "0") for value in indexed]
    return {"address": contract, "topics": [topic0(name), *words], "data": "0x" + encode(types, values).hex()}


def paid(sender: str, receiver: str, micro: int, contract: str = PUSD) -> Raw:
    return log(contract, "TRANSFER", [sender, receiver], ["uint256"], [micro])


def moved(sender: str, receiver: str, token: int, micro: int, contract: str = CTF) -> Raw:
    return log(contract, "TRANSFER_SINGLE", [EXCHANGE, sender, receiver], ["uint256", "uint256"], [token, micro])


def moved_together(sender: str, receiver: str, legs: dict[int, int], contract: str = CTF) -> Raw:
    values = [list(legs), list(legs.values())]
    return log(contract, "TRANSFER_BATCH", [ADAPTER, sender, receiver], ["uint256[]", "uint256[]"], values)


def filled(maker: str, taker: str, side: int, token: int, amounts: tuple[int, int, int]) -> Raw:
    """``amounts``: the maker's, the taker's and the fee."""
    types = ["uint8", "uint256", "uint256", "uint256", "uint256", "bytes32", "bytes32"]
    values = [side, token, *amounts, bytes(32), bytes(32)]
    return log(EXCHANGE, "ORDER_FILLED", [ORDER, maker, taker], types, values)


def ctf_change(name: str, stakeholder: str, micro: int) -> Raw:
    types = ["address", "uint256[]", "uint256"]
    return log(CTF, name, [stakeholder, "0x" + "00" * 32, CONDITION], types, [USDC_E, [1, 2], micro])


def ctf_redeemed(redeemer: str, payout: int) -> Raw:
    indexed: list[str | int] = [redeemer, USDC_E, 0]
    types = ["bytes32", "uint256[]", "uint256"]
    return log(CTF, "CTF_PAYOUT_REDEMPTION", indexed, types, [bytes.fromhex(CONDITION[2:]), [1, 2], payout])


def resolved(numerators: list[int]) -> Raw:
    values = [len(numerators), numerators]
    return log(CTF, "CONDITION_RESOLUTION", [CONDITION, ADAPTER, CONDITION], ["uint256", "uint256[]"], values)


def nra_change(name: str, stakeholder: str, micro: int) -> Raw:
    return log(NRA, name, [stakeholder, CONDITION], ["uint256"], [micro])


def nra_redeemed(redeemer: str, amounts: list[int], payout: int) -> Raw:
    indexed: list[str | int] = [redeemer, CONDITION]
    return log(NRA, "NRA_PAYOUT_REDEMPTION", indexed, ["uint256[]", "uint256"], [amounts, payout])


def converted(stakeholder: str, index_set: int, micro: int) -> Raw:
    return log(NRA, "NRA_POSITIONS_CONVERTED", [stakeholder, MARKET, index_set], ["uint256"], [micro])


def wrapped(name: str, caller: str, receiver: str, micro: int) -> Raw:
    return log(PUSD, name, [caller, USDC_E, receiver], ["uint256"], [micro])


def placed(raw: Raw, index: int = 7, block: int = 100, transaction: int = 1, **changes: Any) -> Raw:
    """The log with its place, as ``eth_getLogs`` shows it."""
    return {
        **raw,
        "blockNumber": hex(block),
        "blockHash": f"0x{block:064x}",
        "blockTimestamp": hex(1_700_000_000 + block),
        "transactionHash": f"0x{transaction:064x}",
        "transactionIndex": "0x3",
        "logIndex": hex(index),
        "removed": False,
    } | changes
