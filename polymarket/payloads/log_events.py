"""Events of the contracts that count: which there are, whose they are, and what each says (X-01, R-19).

Which contract may say what is fixed: an event of any other one is nobody's word.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from polymarket.payloads.fields import FieldError
from polymarket.payloads.log_words import (
    LogWire,
    address,
    array,
    check_whole,
    hash32,
    is_foreign,
    micro,
    token_id,
    topics,
    words,
)
from portfolio.chain import (
    ChainLog,
    CollateralTransfer,
    CollateralWrapped,
    ConditionResolved,
    OrderFilled,
    PayoutRedeemed,
    PositionsConverted,
    PositionsMerged,
    PositionSplit,
    TokenTransfer,
)
from portfolio.facts import Side

TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SINGLE: Final = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
TRANSFER_BATCH: Final = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
ORDER_FILLED: Final = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee"
CONDITION_RESOLUTION: Final = "0xb44d84d3289691f71497564b85d4233648d9dbae8cbdbb4329f301c3a0185894"
CTF_POSITION_SPLIT: Final = "0x2e6bb91f8cbcda0c93623c54d0403a43514fabc40084ec96b6d5379a74786298"
CTF_POSITIONS_MERGE: Final = "0x6f13ca62553fcc2bcd2372180a43949c1e4cebba603901ede2f4e14f36b282ca"
CTF_PAYOUT_REDEMPTION: Final = "0x2682012a4a4f1973119f1c9b90745d1bd91fa2bab387344f044cb3586864d18d"
NRA_POSITION_SPLIT: Final = "0xbbed930dbfb7907ae2d60ddf78345610214f26419a0128df39b6cc3d9e5df9b0"
NRA_POSITIONS_MERGE: Final = "0xba33ac50d8894676597e6e35dc09cff59854708b642cd069d21eb9c7ca072a04"
NRA_POSITIONS_CONVERTED: Final = "0xb03d19dddbc72a87e735ff0ea3b57bef133ebe44e1894284916a84044deb367e"
NRA_PAYOUT_REDEMPTION: Final = "0x9140a6a270ef945260c03894b3c6b3b2695e9d5101feef0ff24fec960cfd3224"
WRAPPED: Final = "0xc00a5c84859ae82a7f5e6a2773283fb525335d5b3195f61174aa1ecc7e15dd84"
UNWRAPPED: Final = "0x18b42b684d0b621cc609f4d888916e5ed9e934a476259ec1c11ec116f2b9aa7f"

PUSD: Final = "pusd"
"""The bucket whose contract wraps and unwraps."""

Build: TypeAlias = Callable[[LogWire, int], tuple[ChainLog, ...]]
"""From a log and its index to its events."""

_SIDES = {f"{0:064x}": Side.BUY, f"{1:064x}": Side.SELL}


class LogContracts(msgspec.Struct, frozen=True, kw_only=True):
    """Whose logs count: ERC-1155 contracts, ERC-20 buckets (name and address), exchanges, and the two that say why."""

    conditional_tokens: str
    neg_risk_adapter: str
    position_contracts: tuple[str, ...]
    buckets: tuple[tuple[str, str], ...]
    exchanges: tuple[str, ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """All ERC-1155 contracts, lower-case."""
        return _distinct(self.conditional_tokens, *self.position_contracts)

    @property
    def collaterals(self) -> tuple[str, ...]:
        """All ERC-20 contracts, lower-case."""
        return _distinct(*(address for _, address in self.buckets))

    @property
    def everyone(self) -> tuple[str, ...]:
        """All that move something of a wallet, and the exchanges."""
        return _distinct(*self.tokens, *self.collaterals, *self.exchanges)


def builds_of(contracts: LogContracts) -> Iterator[tuple[tuple[str, str], Build]]:
    """What is built of which event of which contract."""
    for token in contracts.tokens:
        yield (TRANSFER_SINGLE, token), _transfer_single
        yield (TRANSFER_BATCH, token), _transfer_batch
    for name, contract in contracts.buckets:
        yield (TRANSFER, contract.lower()), functools.partial(_transfer, name)
        if name == PUSD:
            yield (WRAPPED, contract.lower()), functools.partial(_wrapped, False)
            yield (UNWRAPPED, contract.lower()), functools.partial(_wrapped, True)
    for exchange in contracts.exchanges:
        yield (ORDER_FILLED, exchange.lower()), _order_filled
    ctf, adapter = contracts.conditional_tokens.lower(), contracts.neg_risk_adapter.lower()
    yield (CTF_POSITION_SPLIT, ctf), functools.partial(_ctf_change, PositionSplit)
    yield (CTF_POSITIONS_MERGE, ctf), functools.partial(_ctf_change, PositionsMerged)
    yield (CTF_PAYOUT_REDEMPTION, ctf), _ctf_redemption
    yield (CONDITION_RESOLUTION, ctf), _resolution
    yield (NRA_POSITION_SPLIT, adapter), functools.partial(_adapter_change, PositionSplit)
    yield (NRA_POSITIONS_MERGE, adapter), functools.partial(_adapter_change, PositionsMerged)
    yield (NRA_PAYOUT_REDEMPTION, adapter), _adapter_redemption
    yield (NRA_POSITIONS_CONVERTED, adapter), _converted


def _transfer_single(wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, operator, sender, receiver = topics(wire, 4)
    token, shares = words(wire, 2)
    if is_foreign(shares):
        return ()
    transfer = TokenTransfer(
        log_index=log_index,
        contract=wire.address.lower(),
        operator=address("operator", operator),
        sender=address("from", sender),
        receiver=address("to", receiver),
        token_id=token_id(token),
        shares_micro=micro("value", shares),
    )
    return (transfer,)


def _transfer_batch(wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    """One event per leg, also where it is of nothing."""
    _, operator, sender, receiver = topics(wire, 4)
    data = words(wire)
    ids = array("ids", data, 0, 2)
    values = array("values", data, 1, 3 + len(ids))
    if len(values) != len(ids) or len(data) != 4 + 2 * len(ids):
        raise FieldError("ids and values were not of one length")
    parties = (address("operator", operator), address("from", sender), address("to", receiver))
    return tuple(
        TokenTransfer(
            log_index=log_index,
            part=part,
            contract=wire.address.lower(),
            operator=parties[0],
            sender=parties[1],
            receiver=parties[2],
            token_id=token_id(token),
            shares_micro=micro("values", shares),
        )
        for part, (token, shares) in enumerate(zip(ids, values, strict=True))
        if not is_foreign(shares)
    )


def _transfer(bucket: str, wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, sender, receiver = topics(wire, 3)
    (amount,) = words(wire, 1)
    transfer = CollateralTransfer(
        log_index=log_index,
        contract=wire.address.lower(),
        bucket=bucket,
        sender=address("from", sender),
        receiver=address("to", receiver),
        amount_micro=micro("value", amount),
    )
    return (transfer,)


def _order_filled(wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, order, maker, taker = topics(wire, 4)
    side, token, maker_amount, taker_amount, fee, _builder, _metadata = words(wire, 7)
    if side not in _SIDES:
        raise FieldError("side was neither 0 nor 1")
    filled = OrderFilled(
        log_index=log_index,
        contract=wire.address.lower(),
        order_id=hash32("orderHash", order),
        maker=address("maker", maker),
        taker=address("taker", taker),
        side=_SIDES[side],
        token_id=token_id(token),
        maker_amount_micro=micro("makerAmountFilled", maker_amount),
        taker_amount_micro=micro("takerAmountFilled", taker_amount),
        fee_micro=micro("fee", fee),
    )
    return (filled,)


def _ctf_change(kind: type[PositionSplit | PositionsMerged], wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, stakeholder, _parent, condition = topics(wire, 4)
    data = words(wire)
    check_whole("partition", data, array("partition", data, 1, 3), 3)
    if is_foreign(data[2]):
        return ()
    change = kind(
        log_index=log_index,
        contract=wire.address.lower(),
        stakeholder=address("stakeholder", stakeholder),
        condition_id=hash32("conditionId", condition),
        amount_micro=micro("amount", data[2]),
    )
    return (change,)


def _adapter_change(kind: type[PositionSplit | PositionsMerged], wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, stakeholder, condition = topics(wire, 3)
    (amount,) = words(wire, 1)
    change = kind(
        log_index=log_index,
        contract=wire.address.lower(),
        stakeholder=address("stakeholder", stakeholder),
        condition_id=hash32("conditionId", condition),
        amount_micro=micro("amount", amount),
    )
    return (change,)


def _ctf_redemption(wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, redeemer, _collateral, _parent = topics(wire, 4)
    data = words(wire)
    check_whole("indexSets", data, array("indexSets", data, 1, 3), 3)
    if is_foreign(data[2]):
        return ()
    return (_redeemed(wire, log_index, redeemer, (f"0x{data[0]}", data[2])),)


def _adapter_redemption(wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, redeemer, condition = topics(wire, 3)
    data = words(wire)
    check_whole("amounts", data, array("amounts", data, 0, 2), 2)
    return (_redeemed(wire, log_index, redeemer, (condition, data[1])),)


def _redeemed(wire: LogWire, log_index: int, redeemer: str, paid: tuple[str, str]) -> PayoutRedeemed:
    condition, payout = paid
    return PayoutRedeemed(
        log_index=log_index,
        contract=wire.address.lower(),
        redeemer=address("redeemer", redeemer),
        condition_id=hash32("conditionId", condition),
        payout_micro=micro("payout", payout),
    )


def _converted(wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, stakeholder, market, index_set = topics(wire, 4)
    (amount,) = words(wire, 1)
    converted = PositionsConverted(
        log_index=log_index,
        contract=wire.address.lower(),
        stakeholder=address("stakeholder", stakeholder),
        neg_risk_market_id=hash32("marketId", market),
        index_set=int(hash32("indexSet", index_set), 16),
        amount_micro=micro("amount", amount),
    )
    return (converted,)


def _resolution(wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:
    _, condition, _oracle, _question = topics(wire, 4)
    data = words(wire)
    numerators = array("payoutNumerators", data, 1, 2)
    check_whole("payoutNumerators", data, numerators, 2)
    if int(data[0], 16) != len(numerators):
        raise FieldError("payoutNumerators were not one for each slot")
    if any(map(is_foreign, numerators)):
        return ()
    resolved = ConditionResolved(
        log_index=log_index,
        contract=wire.address.lower(),
        condition_id=hash32("conditionId", condition),
        numerators=tuple(micro("payoutNumerators", word) for word in numerators),
    )
    return (resolved,)


def _wrapped(unwrapped: bool, wire: LogWire, log_index: int) -> tuple[ChainLog, ...]:  # noqa: FBT001 - partial's order
    _, caller, asset, receiver = topics(wire, 4)
    (amount,) = words(wire, 1)
    wrapped = CollateralWrapped(
        log_index=log_index,
        contract=wire.address.lower(),
        caller=address("caller", caller),
        asset=address("asset", asset),
        receiver=address("to", receiver),
        amount_micro=micro("amount", amount),
        unwrapped=unwrapped,
    )
    return (wrapped,)


def _distinct(*addresses: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address.lower() for address in addresses))
