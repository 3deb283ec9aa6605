"""The two sides of a comparison: a market's image from within, and the witnesses' view of it from outside (D-10).

An image is what a market publishes of itself after a change; a view is what one cycle learned about that market, with
the version of the image it was compared with. Both are plain data; ``comparison`` and ``market`` judge them.
"""

from __future__ import annotations

import msgspec

from portfolio.entries import Cause
from portfolio.facts import DataPosition, OpenOrder, OrderStatus, Payout, Side, TokenIdCheck

DUST_MICRO = 10_000
"""0.01 share: below it the matched amounts of an order and its figure differ by the exchange's rounding (L-03)."""


_TRADED = frozenset({Cause.EXTERNAL_BUY, Cause.EXTERNAL_SALE})


class UnprovenFill(msgspec.Struct, frozen=True, kw_only=True):
    """A fill that no balance has shown yet. ``cash_micro`` is its signed change of collateral, fee included.

    ``confirmed`` says that the exchange calls the trade CONFIRMED; it then counts as settled (settled means CONFIRMED
    or seen in the balance). ``not_before_ms`` is when it may be called overdue again after it was looked up (R-10).
    ``settled_at_ms``: by then it had settled, if it has; the balance of an earlier block need not have it.
    """

    trade_id: str
    order_id: str
    shares_micro: int
    cash_micro: int
    confirmed: bool
    matched_at_ms: int
    not_before_ms: int = 0
    transaction_hash: str | None = None
    settled_at_ms: int = 0


class TokenImage(msgspec.Struct, frozen=True, kw_only=True):
    """A token as the market holds it. ``proven_micro`` is what earlier balances have already shown.

    ``size = proven + Σ unproven``; ``price_micro`` is the metadata's price. ``expired`` are fills that were reversed
    because they did not settle in time: they do not count, and a balance may still show one of them (R-10).
    """

    token_id: str
    condition_id: str
    contract: str
    outcome_index: int
    question_index: int | None
    shares_micro: int
    settled_micro: int
    proven_micro: int
    cost_basis_micro: int
    unproven: tuple[UnprovenFill, ...]
    pending: bool
    pending_micro: int = 0
    """The difference that waits for its second look at the chain; 0 where none does."""
    price_micro: int | None = None
    expired: tuple[UnprovenFill, ...] = ()


class OrderImage(msgspec.Struct, frozen=True, kw_only=True):
    """A live order as the market holds it."""

    order_id: str
    condition_id: str
    price_micro: int
    remaining_micro: int
    size_matched_micro: int
    status: OrderStatus
    noted_resolved: bool = False


class ChainedImage(msgspec.Struct, frozen=True, kw_only=True):
    """A change seen in a block that may still be dropped. ``legs`` and ``cash_micro`` are what of it is in the books.

    Where nothing is, it waits for its trade (``booked`` False), or was taken out again.
    """

    logged_as: str
    block_number: int
    block_hash: str
    booked: bool
    legs: tuple[tuple[str, int], ...] = ()
    cash_micro: int = 0


class MarketImage(msgspec.Struct, frozen=True, kw_only=True):
    """What a market shows of itself. ``proven_cash_micro`` is Σ of the collateral its proven entries moved."""

    wallet: str
    market_id: str
    version: int
    neg_risk: bool
    flag_mismatch: bool
    question_count: int | None
    tokens: tuple[TokenImage, ...]
    orders: tuple[OrderImage, ...]
    proven_cash_micro: int
    noted: bool
    halted: bool
    provisional: bool = False
    """Whether an order shows more than its trades: cash cannot be judged to the unit until they are seen (D-03)."""
    short: bool = False
    """Whether more was sold than is held, as far as is known: the purchase is awaited (R-24)."""
    contradicted: tuple[TokenIdCheck, ...] = ()
    """Conditions whose token ids the contract contradicts, by id (R-18)."""
    chained: tuple[ChainedImage, ...] = ()
    """What the chain's logs have shown since a comparison: a balance of an earlier block cannot have it (X-02)."""
    untraded_orders: tuple[tuple[str, int], ...] = ()
    """Orders that the chain or a balance shows filled without a trade of ours, and from when on they may be asked about
    (ms UTC): the exchange lists their trades late, or they are another client's (D-03, R-21)."""


class TokenPrice(msgspec.Struct, frozen=True, kw_only=True):
    """Reference price of a token in a cycle (R-03); the same on both sides of the comparison."""

    token_id: str
    price_micro: int


class SettledFill(msgspec.Struct, frozen=True, kw_only=True):
    """A fill that the chain's logs show, with the exchange's own numbers: they win over computed ones (R-11, R-20).

    ``amount_micro`` is without the fee. ``transaction_hash`` is the one that it settled in.
    """

    trade_id: str
    order_id: str
    amount_micro: int
    fee_micro: int
    transaction_hash: str
    evidence: str


class ChainView(msgspec.Struct, frozen=True, kw_only=True):
    """The chain's part: balances of this market's tokens at one block. A token without a row is unknown, not zero.

    ``settled`` are the fills that the logs show up to the block; of tokens in ``exact`` no other fill can be in the
    balance that was not in the last one, so that nothing has to be guessed (X-02). Differences of tokens in ``waiting``
    are of transactions that move tokens of unknown markets too: what they were is not known yet.
    """

    block_number: int
    block_time_ms: int
    balances: tuple[tuple[str, int], ...]
    payouts: tuple[Payout, ...] = ()
    settled: tuple[SettledFill, ...] = ()
    exact: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


class OrderFate(msgspec.Struct, frozen=True, kw_only=True):
    """What a single look-up said about an order that left the list; ``order`` None: the exchange knows none (L-06)."""

    order_id: str
    order: OpenOrder | None


class OrdersView(msgspec.Struct, frozen=True, kw_only=True):
    """The CLOB's part: this market's rows of a COMPLETE list, and the fates of those that were missing.

    ``read_at_ms`` is when the reading began, ``previous_read_at_ms`` when the last complete one before it began (R-04);
    None where there was none.
    """

    read_at_ms: int
    previous_read_at_ms: int | None
    orders: tuple[OpenOrder, ...]
    fates: tuple[OrderFate, ...] = ()


class CauseHint(msgspec.Struct, frozen=True, kw_only=True):
    """What explains a difference: the chain's logs, else the wallet's cash at the block of the balances.

    ``legs`` are the signed share differences it explains; it holds only if the market finds exactly these.
    ``cash_micro`` is the collateral that came (positive) or went, after ``fee_micro``, which a log alone tells. From
    logs are those with a ``logged_as``, the id that their entry is going to have, and ``at_ms``, the time of their
    block; all others are inferred. ``order_id`` is the order that a log says was filled.
    """

    cause: Cause
    condition_id: str
    legs: tuple[tuple[str, int], ...]
    cash_micro: int
    evidence: str
    logged_as: str = ""
    at_ms: int = 0
    fee_micro: int = 0
    order_id: str = ""

    @property
    def certain(self) -> bool:
        """Whether no second look is needed. A fill's log may be of an own trade that the CLOB shows late (L-16)."""
        return bool(self.logged_as) and self.cause not in _TRADED


class ViewPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a comparison depends on; they travel with it, so that replay needs no config (D-16)."""

    settle_window_ms: int = 30_000
    discrepancy_alert_micro: int = 10_000_000
    adopt_unknown_orders: bool = True


class ExternalView(msgspec.Struct, frozen=True, kw_only=True, tag="external_view"):
    """All that one cycle learned about one market. What was not read is None: unknown, never empty.

    ``opening``: the wallet had no history before this cycle (R-23).
    ``stand_in`` holds the Data API's rows when the chain could not be read (R-01); ``entry_costs`` are its rows beside
    a chain view, used only to price openings (R-23) and to hint at missed trades (R-03).
    """

    cycle_id: str
    base_version: int
    synced_at_ms: int
    policy: ViewPolicy
    opening: bool = False
    prices: tuple[TokenPrice, ...] = ()
    chain: ChainView | None = None
    stand_in: tuple[DataPosition, ...] | None = None
    entry_costs: tuple[DataPosition, ...] = ()
    orders: OrdersView | None = None
    hints: tuple[CauseHint, ...] = ()
    own_keys: tuple[str, ...] = ()


class OrderState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order in a market's state; ``status`` is what the exchange says of it.

    ``closed_at_ms`` is set only when all its fills are booked too (L-06). ``size_matched_micro`` is the venue's
    cumulative figure, first shown at ``matched_at_ns``; ``booked_micro`` is the sum of its trades ever seen, failed
    ones included: neither falls (D-03). Of what the figure shows beyond the trades, a balance has shown
    ``proven_micro``, and ``given_up_micro``, first shown at ``given_up_at_ns``, was reversed or is history from before
    the books were opened (R-10, R-23).
    """

    order_id: str
    condition_id: str
    token_id: str
    side: Side
    price_micro: int
    original_size_micro: int
    size_matched_micro: int
    booked_micro: int
    status: OrderStatus
    owner: str
    order_type: str
    created_at_ms: int
    first_seen_at_ms: int
    closed_at_ms: int | None = None
    ended_because: str = ""
    matched_at_ns: int = 0
    proven_micro: int = 0
    given_up_micro: int = 0
    given_up_at_ns: int = 0
    not_before_ms: int = 0
    noted_resolved: bool = False

    @property
    def waiting_micro(self) -> int:
        """Shares that the figure shows and no trade explains yet: the provisional quantity (D-03).

        Once a trade was seen, less than :data:`DUST_MICRO` is no fill but rounding: a sum of matched amounts may stay
        behind the order's figure by so much for ever (L-03). A trade that small is booked when it is seen, as any.
        """
        waiting = self.size_matched_micro - self.booked_micro - self.given_up_micro
        if waiting <= 0 or (self.booked_micro > 0 and waiting < DUST_MICRO):
            return 0
        return waiting

    @property
    def remaining_micro(self) -> int:
        """Shares that can still be filled, by the larger of what the venue says and what is booked."""
        return max(0, self.original_size_micro - max(self.size_matched_micro, self.booked_micro))
