"""Receipts in words: who logged what about whom, and what it moved for a wallet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode
from hexbytes import HexBytes

NOBODY = "0x" + "0" * 40
BURN = "0xa5Ef39C3D3e10d0B270233af41CaC69796B12966"
"""Where converted NO tokens go."""

EVENTS = {
    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef": "Transfer from to",
    "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925": "Approval owner spender",
    "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62": "TransferSingle operator from to",
    "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb": "TransferBatch operator from to",
    "0xb44d84d3289691f71497564b85d4233648d9dbae8cbdbb4329f301c3a0185894": "ConditionResolution - oracle -",
    "0x2e6bb91f8cbcda0c93623c54d0403a43514fabc40084ec96b6d5379a74786298": "PositionSplit stakeholder - -",
    "0x6f13ca62553fcc2bcd2372180a43949c1e4cebba603901ede2f4e14f36b282ca": "PositionsMerge stakeholder - -",
    "0x2682012a4a4f1973119f1c9b90745d1bd91fa2bab387344f044cb3586864d18d": "PayoutRedemption redeemer collateral -",
    "0xbbed930dbfb7907ae2d60ddf78345610214f26419a0128df39b6cc3d9e5df9b0": "NegRisk.PositionSplit stakeholder -",
    "0xba33ac50d8894676597e6e35dc09cff59854708b642cd069d21eb9c7ca072a04": "NegRisk.PositionsMerge stakeholder -",
    "0xb03d19dddbc72a87e735ff0ea3b57bef133ebe44e1894284916a84044deb367e": "NegRisk.PositionsConverted stakeholder - -",
    "0x9140a6a270ef945260c03894b3c6b3b2695e9d5101feef0ff24fec960cfd3224": "NegRisk.PayoutRedemption redeemer -",
    "0x9e9fa7fd355160bd4cd3f22d4333519354beff1f5689bde87f2c5e63d8d484b2": "NegRisk.OutcomeReported - -",
    "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee": "OrderFilled - maker taker",
    "0x174b3811690657c217184f89418266767c87e4805d09680c39fc9c031c0cab7c": "OrdersMatched - maker",
    "0x55bb3cade9d43b798a4fe5ffdd05024b2d7870df53920673bfc7e68047cd0ab1": "FeeCharged receiver",
    "0xc00a5c84859ae82a7f5e6a2773283fb525335d5b3195f61174aa1ecc7e15dd84": "Wrapped caller asset to",
    "0x18b42b684d0b621cc609f4d888916e5ed9e934a476259ec1c11ec116f2b9aa7f": "Unwrapped caller asset to",
    "0xb434294b5904213c83a167af0068ab82637c6fd4fac945e2abc74ed8d3f4d52a": "BinaryRedemption from -",
    "0x74a51ebefec30281ec6849b727ec7916f9b1a3e5e148d6771d98315215b38b96": "NegRiskRedemption from -",
}
"""Name and topics by topic0, which is the published one and not computed from our sources; "-" is no address."""


@dataclass(frozen=True)
class Moves:
    """What a transaction moved for one wallet; micro, without what comes to zero."""

    tokens: dict[str, int]
    cash: dict[str, int]


@dataclass(frozen=True)
class Reader:
    """Reads logs, of the stage and captured ones alike; ``names`` are roles by address in lower case."""

    names: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(addresses: Mapping[str, str], **more: str) -> Reader:
        """Roles as given, and those that every chain has."""
        roles = {**addresses, **more, "nobody": NOBODY, "burn": BURN}
        return Reader({address.lower(): name for name, address in roles.items()})

    def lines(self, logs: Iterable[Mapping[str, Any]]) -> list[str]:
        """For each log its contract, event and the addresses in its topics: "pusd Transfer wallet exchange"."""
        return [self._line(each) for each in logs]

    def _line(self, log: Mapping[str, Any]) -> str:
        topic0, *topics = (HexBytes(each) for each in log["topics"])
        event, *kinds = EVENTS[topic0.to_0x_hex()].split()
        about = [self._name(topic[-20:].to_0x_hex()) for topic, kind in zip(topics, kinds, strict=True) if kind != "-"]
        return " ".join((self._name(log["address"]), event, *about))

    def _name(self, address: str) -> str:
        return self.names.get(address.lower(), address.lower())

    def moves(self, logs: Iterable[Mapping[str, Any]], wallet: str, cash: Mapping[str, str]) -> Moves:
        """The wallet's own ERC-1155 and ERC-20 transfers, summed (R-19). ``cash`` are contracts by bucket."""
        tokens, dollars = Counter[str](), Counter[str]()
        buckets = {contract: bucket for bucket, contract in cash.items()}
        for log in logs:
            contract, event, *about = self._line(log).split()
            if not event.startswith("Transfer"):
                continue
            sign = (about[-1] == wallet) - (about[-2] == wallet)
            for token, micro in _moved(event, HexBytes(log["data"])):
                if event == "Transfer":
                    dollars[buckets[contract]] += sign * micro
                else:
                    tokens[token] += sign * micro
        return Moves(*({key: value for key, value in sums.items() if value} for sums in (tokens, dollars)))


def _moved(event: str, data: bytes) -> list[tuple[str, int]]:
    """Token ids, of an ERC-20 transfer an empty one, and micro."""
    if event == "Transfer":
        return [("", *decode(["uint256"], data))]
    if event == "TransferSingle":
        token, micro = decode(["uint256", "uint256"], data)
        return [(str(token), micro)]
    tokens, values = decode(["uint256[]", "uint256[]"], data)
    return [(str(token), micro) for token, micro in zip(tokens, values, strict=True)]
