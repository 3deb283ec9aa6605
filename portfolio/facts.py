"""What the witnesses say, in normal form: orders, trades, balances, metadata, and the certificate of each reading.

Everything here is data that came from outside and has passed the strict parser. Whether it is believed, and what
follows from it, is decided elsewhere (``comparison``, ``market``). Amounts are integers of 1e-6, times in ms UTC.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec


class Fact(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Base of all facts: immutable, keyword-only."""


class Side(enum.StrEnum):
    """Direction of an order or a fill, seen from its owner."""

    BUY = "BUY"
    SELL = "SELL"


BUY: Final = Side.BUY
"""By a name of its own, as others on the path of every fill: CPython 3.11 takes twenty times as long by the class."""


class Role(enum.StrEnum):
    """Which side of a match the wallet's order was on."""

    MAKER = "MAKER"
    TAKER = "TAKER"


TAKER: Final = Role.TAKER


class TradeStatus(enum.StrEnum):
    """Life cycle of a trade on the exchange; CONFIRMED and FAILED are terminal."""

    MATCHED_NOT_BROADCASTED = "MATCHED_NOT_BROADCASTED"
    MATCHED = "MATCHED"
    MINED = "MINED"
    RETRYING = "RETRYING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class OrderStatus(enum.StrEnum):
    """Where an order stands. ``GONE`` is ours: the exchange no longer knows it and its end is unknown (L-06)."""

    LIVE = "LIVE"
    DELAYED = "DELAYED"
    MATCHED = "MATCHED"
    UNMATCHED = "UNMATCHED"
    CANCELED = "CANCELED"
    INVALID = "INVALID"
    GONE = "GONE"

    @property
    def live(self) -> bool:
        """Whether the order can still be filled."""
        return self in {OrderStatus.LIVE, OrderStatus.DELAYED, OrderStatus.UNMATCHED}


class OrderChange(enum.StrEnum):
    """What the user channel says happened to an order."""

    PLACEMENT = "PLACEMENT"
    UPDATE = "UPDATE"
    CANCELLATION = "CANCELLATION"


class Verdict(enum.StrEnum):
    """How much a reading proves (X-09). Only COMPLETE may shrink or close anything."""

    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    UNKNOWN = "UNKNOWN"


class Source(enum.StrEnum):
    """The witness and the kind of question it was asked."""

    CLOB_ORDERS = "clob.orders"
    CLOB_ORDER = "clob.order"
    CLOB_TRADES = "clob.trades"
    CLOB_MARKET = "clob.market"
    CLOB_TIME = "clob.time"
    DATA_POSITIONS = "data.positions"
    GAMMA_MARKETS = "gamma.markets"
    CHAIN_BALANCES = "chain.balances"
    CHAIN_RECEIPT = "chain.receipt"
    CHAIN_LOGS = "chain.logs"
    CHAIN_AGREEMENT = "chain.agreement"
    CLOB_USER_STREAM = "clob.user_stream"

    @property
    def witness(self) -> str:
        """``clob``, ``data``, ``gamma`` or ``chain``."""
        return self.value.partition(".")[0]


class FailureKind(enum.StrEnum):
    """Why a reading gave no certificate. The kind decides what happens next, never the text."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    THROTTLED = "throttled"
    UNAUTHORIZED = "unauthorized"
    MALFORMED = "malformed"
    WRONG_CHAIN = "wrong_chain"
    NO_CONTRACT = "no_contract"


class Certificate(Fact, frozen=True, kw_only=True):
    """Proof of one reading of one source (X-09).

    ``digest`` is the sha256 of the normalised rows, sorted, so that equal content has an equal digest whatever the
    order of pages. ``reason`` says in words why the verdict is not COMPLETE; it is empty otherwise.
    """

    source: Source
    parameters: tuple[tuple[str, str], ...] = ()
    pages: int
    rows: int
    rejected_rows: int = 0
    digest: str
    block_number: int | None = None
    block_hash: str | None = None
    block_time_ms: int | None = None
    started_at_ms: int
    completed_at_ms: int
    verdict: Verdict
    reason: str = ""


class OpenOrder(Fact, frozen=True, kw_only=True):
    """An order as the CLOB shows it. ``size_matched_micro`` is cumulative and only rises (L-05).

    ``ended_because`` is what the exchange adds to a cancelled status (``MARKET_RESOLVED``, free text of a kill); empty
    where it says nothing.
    """

    order_id: str
    condition_id: str
    token_id: str
    side: Side
    price_micro: int
    original_size_micro: int
    size_matched_micro: int
    status: OrderStatus
    created_at_ms: int
    owner: str
    maker_address: str
    order_type: str
    expires_at_ms: int | None = None
    trade_ids: tuple[str, ...] = ()
    ended_because: str = ""

    @property
    def remaining_micro(self) -> int:
        """Shares that can still be filled."""
        return max(0, self.original_size_micro - self.size_matched_micro)


class MakerLeg(Fact, frozen=True, kw_only=True):
    """One maker order within a trade, with its own token, price and side (the side is absent in old captures)."""

    order_id: str
    owner: str
    maker_address: str
    token_id: str
    price_micro: int
    size_micro: int
    side: Side | None


class Trade(Fact, frozen=True, kw_only=True):
    """A trade as the CLOB shows it: the top level describes the taker's order, ``legs`` the makers'."""

    trade_id: str
    taker_order_id: str
    condition_id: str
    token_id: str
    side: Side
    size_micro: int
    price_micro: int
    status: TradeStatus
    matched_at_ns: int
    updated_at_ms: int
    owner: str
    maker_address: str
    transaction_hash: str | None
    trader_side: Role | None
    bucket_index: int
    legs: tuple[MakerLeg, ...]


class OrderMessage(Fact, frozen=True, kw_only=True, tag="order"):
    """An ``order`` event of the user channel; ``at_ms`` is the exchange's time of it."""

    order: OpenOrder
    change: OrderChange
    at_ms: int


class TradeMessage(Fact, frozen=True, kw_only=True, tag="trade"):
    """A ``trade`` event of the user channel: one is sent for each status that the trade reaches."""

    trade: Trade


class ReceiptStatus(enum.StrEnum):
    """What the chain says of a transaction. ABSENT: no node knows it in a block (yet)."""

    SUCCEEDED = "SUCCEEDED"
    REVERTED = "REVERTED"
    ABSENT = "ABSENT"


class Receipt(Fact, frozen=True, kw_only=True):
    """A transaction's end on chain; ``block_number`` is None where it is ABSENT."""

    transaction_hash: str
    status: ReceiptStatus
    block_number: int | None = None


class DataPosition(Fact, frozen=True, kw_only=True):
    """A row of the Data API's position view; rounded by its source, so never exact (D-13)."""

    token_id: str
    condition_id: str
    size_micro: int
    entry_cost_micro: int
    price_micro: int | None
    neg_risk: bool | None
    opposite_token_id: str | None


class TokenMeta(Fact, frozen=True, kw_only=True):
    """An outcome token: its place in the condition and the ERC-1155 contract that owns its balances (R-18)."""

    token_id: str
    outcome: str
    outcome_index: int
    contract: str
    price_micro: int | None = None


class MarketMeta(Fact, frozen=True, kw_only=True):
    """What is known of one condition.

    ``neg_risk_claimed`` is what the metadata says, ``neg_risk_derived`` what the token ids prove (they hash the
    collateral, R-18); None where it cannot be told. ``neg_risk`` is the one that counts (R-06).
    """

    condition_id: str
    question_id: str
    title: str
    slug: str
    version: str
    tokens: tuple[TokenMeta, ...]
    neg_risk_claimed: bool | None
    neg_risk_derived: bool | None
    neg_risk_market_id: str | None
    question_index: int | None
    closed: bool
    fee_rate_micro: int | None
    fee_exponent: int | None

    @property
    def neg_risk(self) -> bool:
        """The flag that counts: the chain-derived one wins over the metadata (R-06)."""
        return bool(self.neg_risk_claimed) if self.neg_risk_derived is None else self.neg_risk_derived

    @property
    def market_id(self) -> str:
        """The unit of consistency this condition belongs to (D-01): its neg-risk id, else itself."""
        if self.neg_risk and self.neg_risk_market_id is not None:
            return self.neg_risk_market_id
        return self.condition_id


class TokenRef(Fact, frozen=True, kw_only=True):
    """A token to read: its contract and id."""

    contract: str
    token_id: str


class TokenBalance(Fact, frozen=True, kw_only=True):
    """An ERC-1155 balance at the pinned block."""

    token_id: str
    amount_micro: int


class CollateralBalance(Fact, frozen=True, kw_only=True):
    """An ERC-20 balance at the pinned block; ``name`` is the bucket: ``pusd``, ``usdc_e`` or ``wcol`` (X-10)."""

    name: str
    amount_micro: int


class Payout(Fact, frozen=True, kw_only=True):
    """How a resolved condition pays: numerators per slot over the denominator (> 0). Unresolved ones have no row."""

    condition_id: str
    numerators: tuple[int, ...]
    denominator: int


class QuestionCount(Fact, frozen=True, kw_only=True):
    """The chain's number of questions of a neg-risk market (R-06)."""

    neg_risk_market_id: str
    count: int


class ConditionTokens(Fact, frozen=True, kw_only=True):
    """A condition's token ids by outcome, as metadata states them; ``neg_risk`` says which collateral is in them."""

    condition_id: str
    neg_risk: bool
    token_ids: tuple[str, ...]


class TokenIdCheck(Fact, frozen=True, kw_only=True):
    """A condition's token ids by outcome: ``stated`` by metadata, and ``computed`` by the contract (R-18).

    ``computed`` is empty where the contract did not answer; that is no contradiction.
    """

    condition_id: str
    stated: tuple[str, ...]
    computed: tuple[str, ...]

    @property
    def contradicted(self) -> bool:
        """Whether the contract gives these outcomes other ids."""
        return bool(self.computed) and self.computed != self.stated


class Balances(Fact, frozen=True, kw_only=True):
    """All balances of a wallet at one block: collateral, outcome tokens, payouts, question counts (D-09, D-28).

    ``token_ids`` are the checks that were asked for; of an id that is absent here nothing is known yet.
    """

    block_number: int
    block_hash: str
    block_time_ms: int
    collateral: tuple[CollateralBalance, ...]
    tokens: tuple[TokenBalance, ...]
    payouts: tuple[Payout, ...] = ()
    question_counts: tuple[QuestionCount, ...] = ()
    token_ids: tuple[TokenIdCheck, ...] = ()

    @property
    def cash_micro(self) -> int:
        """All collateral buckets together (R-19: direct redemptions pay bridged USDC)."""
        return sum(bucket.amount_micro for bucket in self.collateral)
