"""Logs as contracts leave them: which events there are, and how one is written with topics and data.

A log is kept as its event and values, and encoded when somebody reads it: thousands of trades leave many times as many
logs, and most of them nobody asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

Value = str | int | Sequence[int]
"""An address or 32 bytes as 0x-text, a number, or a list of numbers."""


@dataclass(frozen=True)
class Event:
    """An event's topic, the types of its arguments, and which of them are indexed."""

    topic: str
    types: tuple[str, ...]
    indexed: tuple[bool, ...]


def event(signature: str) -> Event:
    """The event of a signature in which indexed arguments carry a star: ``Transfer(address*,address*,uint256)``."""
    types = signature[signature.index("(") + 1 : -1].split(",")
    return Event(
        topic="0x" + keccak(text=signature.replace("*", "")).hex(),
        types=tuple(name.rstrip("*") for name in types),
        indexed=tuple(name.endswith("*") for name in types),
    )


TRANSFER = event("Transfer(address*,address*,uint256)")
APPROVAL = event("Approval(address*,address*,uint256)")
TRANSFER_SINGLE = event("TransferSingle(address*,address*,address*,uint256,uint256)")
TRANSFER_BATCH = event("TransferBatch(address*,address*,address*,uint256[],uint256[])")
WRAPPED = event("Wrapped(address*,address*,address*,uint256)")
UNWRAPPED = event("Unwrapped(address*,address*,address*,uint256)")
CONDITION_RESOLUTION = event("ConditionResolution(bytes32*,address*,bytes32*,uint256,uint256[])")
POSITION_SPLIT = event("PositionSplit(address*,address,bytes32*,bytes32*,uint256[],uint256)")
POSITIONS_MERGE = event("PositionsMerge(address*,address,bytes32*,bytes32*,uint256[],uint256)")
PAYOUT_REDEMPTION = event("PayoutRedemption(address*,address*,bytes32*,bytes32,uint256[],uint256)")
NEG_RISK_SPLIT = event("PositionSplit(address*,bytes32*,uint256)")
NEG_RISK_MERGE = event("PositionsMerge(address*,bytes32*,uint256)")
NEG_RISK_CONVERTED = event("PositionsConverted(address*,bytes32*,uint256*,uint256)")
NEG_RISK_REDEMPTION = event("PayoutRedemption(address*,bytes32*,uint256[],uint256)")
NEG_RISK_OUTCOME = event("OutcomeReported(bytes32*,bytes32*,bool)")
ORDER_FILLED = event("OrderFilled(bytes32*,address*,address*,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)")
ORDERS_MATCHED = event("OrdersMatched(bytes32*,address*,uint8,uint256,uint256,uint256)")
FEE_CHARGED = event("FeeCharged(address*,uint256)")
BINARY_REDEMPTION = event("BinaryRedemption(address*,bytes32*,uint256)")
NEG_RISK_AUTO_REDEMPTION = event("NegRiskRedemption(address*,bytes32*,uint256)")
GAS_PAID = event("LogFeeTransfer(address*,address*,address*,uint256,uint256,uint256,uint256,uint256)")


class Log:
    """What a contract said: its address, the event, and a value for each of the event's arguments in their order."""

    __slots__ = ("_data", "_topics", "address", "event", "values")

    def __init__(self, address: str, kind: Event, *values: Value) -> None:
        self.address = address.lower()
        self.event = kind
        self.values = values
        self._topics: tuple[str, ...] | None = None
        self._data: str | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """The event's topic and the indexed arguments, each as 32 bytes in lower case."""
        if self._topics is None:
            pairs = zip(self.values, self.event.indexed, strict=True)
            self._topics = (self.event.topic, *(_word(value) for value, indexed in pairs if indexed))
        return self._topics

    @property
    def data(self) -> str:
        """The other arguments, ABI-encoded."""
        if self._data is None:
            rows = zip(self.event.types, self.values, self.event.indexed, strict=True)
            plain = [(name, value) for name, value, indexed in rows if not indexed]
            encoded = encode([name for name, _ in plain], [_encodable(name, value) for name, value in plain])
            self._data = "0x" + encoded.hex()
        return self._data


def _word(value: Value) -> str:
    if isinstance(value, int):
        return f"0x{value:064x}"
    assert isinstance(value, str)  # noqa: S101 - no event here indexes a list
    return "0x" + value[2:].lower().rjust(64, "0")


def _encodable(kind: str, value: Value) -> object:
    match kind:
        case "bytes32":
            return bytes.fromhex(str(value)[2:])
        case "bool":
            return bool(value)
        case _:
            return value
