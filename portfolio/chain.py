"""What the chain's logs say, in normal form: movements, fills, and the events that name their cause (X-01, R-19).

A wallet's own movements of tokens and collateral are what changed it; the other events of the same transaction say
why. Amounts are integers of 1e-6, times in ms UTC; addresses and hashes are lower-case hex with ``0x``, token ids
decimal text.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from portfolio.facts import Fact, Side


class _Log(Fact, frozen=True, kw_only=True):
    """``log_index`` counts within the block, ``part`` within the log: a batch moves several tokens by one log."""

    log_index: int
    contract: str


class TokenTransfer(_Log, frozen=True, kw_only=True, tag="token_transfer"):
    """ERC-1155 ``TransferSingle``, or one leg of a ``TransferBatch``; a leg may be of zero shares."""

    part: int = 0
    operator: str
    sender: str
    receiver: str
    token_id: str
    shares_micro: int


class CollateralTransfer(_Log, frozen=True, kw_only=True, tag="collateral_transfer"):
    """ERC-20 ``Transfer`` of a collateral; ``bucket`` names it: ``pusd``, ``usdc_e`` or ``wcol`` (X-10)."""

    bucket: str
    sender: str
    receiver: str
    amount_micro: int


class OrderFilled(_Log, frozen=True, kw_only=True, tag="order_filled"):
    """``OrderFilled`` of a V2 exchange, one per order; the taker order's own names the exchange as its ``taker``.

    A BUY gives ``maker_amount_micro`` of collateral for ``taker_amount_micro`` shares, a SELL the reverse; the fee is
    collateral beside it: a BUY pays it on top, a SELL has it deducted (R-20).
    """

    order_id: str
    maker: str
    taker: str
    side: Side
    token_id: str
    maker_amount_micro: int
    taker_amount_micro: int
    fee_micro: int

    @property
    def took(self) -> bool:
        """Whether it is the taker order's."""
        return self.taker == self.contract

    @property
    def shares_micro(self) -> int:
        """Shares that changed hands."""
        return self.taker_amount_micro if self.side is Side.BUY else self.maker_amount_micro

    @property
    def amount_micro(self) -> int:
        """Collateral that changed hands, without the fee."""
        return self.maker_amount_micro if self.side is Side.BUY else self.taker_amount_micro


class PositionSplit(_Log, frozen=True, kw_only=True, tag="position_split"):
    """Collateral became both outcomes. ``stakeholder`` is who called the contract: mostly an adapter (R-19)."""

    stakeholder: str
    condition_id: str
    amount_micro: int


class PositionsMerged(_Log, frozen=True, kw_only=True, tag="positions_merged"):
    """Both outcomes became collateral; ``stakeholder`` as above."""

    stakeholder: str
    condition_id: str
    amount_micro: int


class PayoutRedeemed(_Log, frozen=True, kw_only=True, tag="payout_redeemed"):
    """Tokens of a resolved condition were paid out; the payout can be 0 and the event is proof all the same."""

    redeemer: str
    condition_id: str
    payout_micro: int


class PositionsConverted(_Log, frozen=True, kw_only=True, tag="positions_converted"):
    """NO of the questions in ``index_set`` (bit 0 = question 0) became YES of all the others, and collateral."""

    stakeholder: str
    neg_risk_market_id: str
    index_set: int
    amount_micro: int


class ConditionResolved(_Log, frozen=True, kw_only=True, tag="condition_resolved"):
    """A condition pays ``numerators`` per slot over their sum."""

    condition_id: str
    numerators: tuple[int, ...]


class CollateralWrapped(_Log, frozen=True, kw_only=True, tag="collateral_wrapped"):
    """pUSD ``Wrapped`` (``asset`` became pUSD of ``receiver``) or ``Unwrapped`` (the reverse, where ``unwrapped``)."""

    caller: str
    asset: str
    receiver: str
    amount_micro: int
    unwrapped: bool


ChainLog: TypeAlias = (
    TokenTransfer
    | CollateralTransfer
    | OrderFilled
    | PositionSplit
    | PositionsMerged
    | PayoutRedeemed
    | PositionsConverted
    | ConditionResolved
    | CollateralWrapped
)


class ChainTransaction(Fact, frozen=True, kw_only=True):
    """A transaction that moved something of a wallet of ours, or resolved a condition: its logs by index.

    ``complete``: all its logs that can be of use are here, not only those that name the wallet.
    """

    transaction_hash: str
    block_number: int
    block_hash: str
    block_time_ms: int
    logs: tuple[ChainLog, ...]
    complete: bool


class ChangeKind(enum.StrEnum):
    """What a transaction did to a wallet; the names of L-14 where it has one."""

    FILL = "FILL"
    POSITION_SPLIT = "POSITION_SPLIT"
    POSITION_MERGED = "POSITION_MERGED"
    REDEEMED = "REDEEMED"
    CONVERTED = "CONVERTED"
    TRANSFER_IN = "TRANSFER_IN"
    TRANSFER_OUT = "TRANSFER_OUT"
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    REWARD = "REWARD"
    WRAP = "WRAP"
    """Collateral changed its bucket: bridged USDC became pUSD, or the reverse; together nothing changed (X-10)."""


class ChainChange(Fact, frozen=True, kw_only=True):
    """One change of one wallet, with its proof (L-14).

    ``legs`` are the signed shares per token, zero legs left out; ``cash`` the signed collateral per bucket, after the
    fee. A FILL names its order and whose side it was; whether the order is one of ours the chain cannot say (R-21).
    ``condition_id`` is empty where it is not of one condition, or of none that is known. ``log_index`` is the event's
    that names the cause, else its first movement's; with the kind, the tokens and the buckets it is the change's name.
    """

    kind: ChangeKind
    wallet: str
    condition_id: str = ""
    neg_risk_market_id: str = ""
    legs: tuple[tuple[str, int], ...]
    cash: tuple[tuple[str, int], ...]
    fee_micro: int = 0
    order_id: str = ""
    took: bool = False
    counterparty: str = ""
    transaction_hash: str
    block_number: int
    block_hash: str
    block_time_ms: int
    log_index: int

    @property
    def cash_micro(self) -> int:
        """The signed collateral of all buckets together."""
        return sum(amount for _, amount in self.cash)

    @property
    def evidence(self) -> str:
        """The proof in words: transaction, log and block."""
        return f"transaction {self.transaction_hash}, log {self.log_index}, block {self.block_number}"
