"""Ledger entries: the only things that change a position (L-13), and the economic order they are folded in (D-02).

An entry states what happened; ``position`` computes from the entries what is held, at what cost, with which realised
P&L. Shares, amounts and costs are integers of 1e-6. ``amount`` is always fee-exclusive; the fee stands beside it.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

import msgspec

from portfolio.facts import Role, Side


class Cause(enum.StrEnum):
    """Why an inventory changed other than by an own fill (L-14, R-23)."""

    EXTERNAL_SALE = "EXTERNAL_SALE"
    EXTERNAL_BUY = "EXTERNAL_BUY"
    POSITION_MERGED = "POSITION_MERGED"
    POSITION_SPLIT = "POSITION_SPLIT"
    CONVERTED = "CONVERTED"
    REDEEMED = "REDEEMED"
    TRANSFER_IN = "TRANSFER_IN"
    TRANSFER_OUT = "TRANSFER_OUT"
    TRACKED_FILLS_NOT_SYNCED = "TRACKED_FILLS_NOT_SYNCED"
    UNTRACKED_REDUCTION = "UNTRACKED_REDUCTION"
    UNTRACKED_INCREASE = "UNTRACKED_INCREASE"
    OPENING = "OPENING"
    RESTATED = "RESTATED"
    """What a late, failed or replaced entry changed of earlier numbers, stated as a row of its own (D-02)."""
    REINSTATED = "REINSTATED"
    """The same, where a fill that had been reversed settled after all (R-10)."""
    REORGANISED = "REORGANISED"
    """The same, where the chain dropped the block that an entry was seen in (X-01)."""


LOGGED = "chain:"
"""Begins the ids of entries that the chain's logs show; transaction and log follow."""


class FillState(enum.StrEnum):
    """Life cycle of a fill (L-03).

    PROVISIONAL is what an order's figure shows beyond its trades (D-03); OBSERVED is matched and in flight. FAILED,
    EXPIRED (not settled within its time to live, R-10) and SUPERSEDED ones do not count.
    """

    PROVISIONAL = "PROVISIONAL"
    OBSERVED = "OBSERVED"
    SETTLED = "SETTLED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"

    @property
    def effective(self) -> bool:
        """Whether the fill counts in the position."""
        return self in EFFECTIVE


OBSERVED: Final = FillState.OBSERVED
SETTLED: Final = FillState.SETTLED
EFFECTIVE: Final = frozenset({FillState.PROVISIONAL, OBSERVED, SETTLED})


class EconomicTime(msgspec.Struct, frozen=True, gc=False, order=True, array_like=True):
    """When a thing happened, in the order that decides cost (D-02): time, then names that break ties."""

    at_ns: int
    tie: str = ""
    sub_tie: str = ""


class _Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """``entry_id`` is a pure function of the content, so that the same fact is the same entry (L-19)."""

    entry_id: str
    at: EconomicTime


class Fill(_Entry, frozen=True, kw_only=True, tag="fill"):
    """One leg of a trade of the wallet. ``external`` marks a trade by a key that is not configured (R-21).

    The fee schedule it was booked with stands beside it, for schedules change (R-20); None: none was known or due.
    """

    trade_id: str
    order_id: str
    condition_id: str
    token_id: str
    side: Side
    role: Role
    price_micro: int
    size_micro: int
    amount_micro: int
    fee_micro: int
    state: FillState
    owner: str
    external: bool
    transaction_hash: str | None = None
    settled_by: str = ""
    fee_rate_micro: int | None = None
    fee_exponent: int | None = None


class Split(_Entry, frozen=True, kw_only=True, tag="split"):
    """Collateral became equal shares of both outcomes; cost half each, the odd unit to YES (R-13)."""

    condition_id: str
    yes_token_id: str
    no_token_id: str
    shares_micro: int
    evidence: str
    estimated: bool = True


class Merge(_Entry, frozen=True, kw_only=True, tag="merge"):
    """Equal shares of both outcomes became collateral; proceeds split in proportion to cost (R-13)."""

    condition_id: str
    yes_token_id: str
    no_token_id: str
    shares_micro: int
    evidence: str
    estimated: bool = True


class Redemption(_Entry, frozen=True, kw_only=True, tag="redemption"):
    """Shares of a resolved condition were paid out: a sale at the payout actually received (R-13)."""

    condition_id: str
    token_id: str
    shares_micro: int
    proceeds_micro: int
    evidence: str
    estimated: bool = True


class Conversion(_Entry, frozen=True, kw_only=True, tag="conversion"):
    """NO of several questions became YES of the others and collateral; one event-level entry (R-13)."""

    neg_risk_market_id: str
    no_token_ids: tuple[str, ...]
    yes_token_ids: tuple[str, ...]
    shares_micro: int
    yes_shares_micro: int
    collateral_micro: int
    evidence: str
    estimated: bool = True


class Trade(_Entry, frozen=True, kw_only=True, tag="external_trade"):
    """A purchase or sale that no trade of ours shows: by a log, inferred from balances, or by an operator (L-15).

    Only a log tells its fee; of the others it is in the amount, or not known.
    """

    cause: Cause
    condition_id: str
    token_id: str
    side: Side
    shares_micro: int
    amount_micro: int
    evidence: str
    estimated: bool = True
    fee_micro: int = 0


class Carry(_Entry, frozen=True, kw_only=True, tag="carry"):
    """Shares that came or went without a trade: transfers, openings, unexplained changes (R-13, R-23).

    Positive ``shares_micro`` comes in at ``cost_micro`` (carried in); negative goes out at own cost, P&L 0.
    """

    cause: Cause
    condition_id: str
    token_id: str
    shares_micro: int
    cost_micro: int
    evidence: str
    estimated: bool = True


Entry: TypeAlias = Fill | Split | Merge | Redemption | Conversion | Trade | Carry
Adjustment: TypeAlias = Split | Merge | Redemption | Conversion | Trade | Carry
