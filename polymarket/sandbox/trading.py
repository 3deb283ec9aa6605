"""Orders and trades as the exchange keeps them. Behaviour is in ``exchange``; the wire form in ``server_clob``."""

from __future__ import annotations

from dataclasses import dataclass, field

from polymarket.sandbox.amounts import ONE

BUY, SELL = "BUY", "SELL"
GTC, FOK, FAK = "GTC", "FOK", "FAK"
LIVE, MATCHED, MINED, CONFIRMED, FAILED = "LIVE", "MATCHED", "MINED", "CONFIRMED", "FAILED"
RETRYING = "RETRYING"
UNBROADCAST = "MATCHED_NOT_BROADCASTED"
KILLED = "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed."
CANCELED = "CANCELED"
CANCELED_NOT_BACKED = "CANCELED_NOT_ENOUGH_BALANCE"
CANCELED_RESOLVED = "CANCELED_MARKET_RESOLVED"
CANCELED_EXPIRED = "CANCELED_EXPIRED_ORDER"
_NS_PER_S = 1_000_000_000


class OrderRefusedError(Exception):
    """The exchange does not take an order, a cancel or an action; the text is what its API answers."""


@dataclass(frozen=True, kw_only=True)
class Party:
    """Who trades: the API key, and the address that holds the tokens."""

    owner: str
    address: str


@dataclass(frozen=True, kw_only=True)
class OrderTerms:
    """What an order asks for; sizes and prices in 1e-6. ``expires_s`` 0 means never."""

    token: str
    side: str
    price: int
    size: int
    order_type: str = GTC
    expires_s: int = 0
    post_only: bool = False


@dataclass(kw_only=True)
class Order:
    """An order and how far it is filled. ``matched`` only rises; ``introduced`` says that its placement was told."""

    order_id: str
    party: Party
    condition_id: str
    outcome: str
    terms: OrderTerms
    created_ms: int
    sequence: int
    status: str = LIVE
    matched: int = 0
    trade_ids: list[str] = field(default_factory=list)
    introduced: bool = False

    @property
    def remaining(self) -> int:
        """Shares (1e-6) still open."""
        return self.terms.size - self.matched

    @property
    def live(self) -> bool:
        """Whether it rests in the book."""
        return self.status == LIVE


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One maker order's part in a trade, with the maker's own token, side and price."""

    order_id: str
    party: Party
    token: str
    outcome: str
    side: str
    price: int
    size: int


@dataclass(kw_only=True)
class Settlement:
    """What a match still has before it until it is settled; an ordinary one is sent with the next block.

    ``delay_blocks`` pass before anything is sent. Then ``retries`` transactions fail, one in a block, each replaced by
    one with another hash (RETRYING); the hash of the first is shown from the match on, as ``hash_at_match`` does it
    for others. After that a ``stuck`` one stays as it is until somebody changes that; ``fail`` lets the last
    transaction fail too. What fails reverts in its block, or where ``dropped`` never reaches one. ``unbroadcast`` lets
    REST list it as MATCHED_NOT_BROADCASTED until its first transaction. ``again`` marks a match that a reorganisation
    took out of its block: its transaction is sent again as it was, for block ``not_before`` or a later one.
    """

    delay_blocks: int = 0
    retries: int = 0
    stuck: bool = False
    fail: bool = False
    dropped: bool = False
    hash_at_match: bool = False
    unbroadcast: bool = False
    again: bool = False
    not_before: int = 0


@dataclass(kw_only=True)
class Trade:
    """A match of one taker order with some maker orders, and how far its settlement got.

    ``listed`` is False for a match that the trade list never shows (a chain fill of an unknown order).
    """

    trade_id: str
    taker_order_id: str
    taker: Party
    condition_id: str
    token: str
    outcome: str
    side: str
    price: int
    size: int
    legs: tuple[Leg, ...]
    matched_ns: int
    updated_ms: int
    sequence: int
    status: str = MATCHED
    transaction_hash: str = ""
    block: int | None = None
    taker_fee: int = 0
    settlement: Settlement = field(default_factory=Settlement)
    listed: bool = True
    error: str = ""

    @property
    def matched_s(self) -> int:
        """The second of the match."""
        return self.matched_ns // _NS_PER_S

    @property
    def parties(self) -> set[str]:
        """Addresses of everybody in it."""
        return {self.taker.address, *(leg.party.address for leg in self.legs)}

    @property
    def owners(self) -> set[str]:
        """API keys of everybody in it."""
        return {self.taker.owner, *(leg.party.owner for leg in self.legs)}

    @property
    def listed_status(self) -> str:
        """Its status in the lists, where a match that is not yet sent may have a name of its own."""
        return UNBROADCAST if self.status == MATCHED and self.settlement.unbroadcast else self.status


def taker_price(leg: Leg, taker_token: str) -> int:
    """The taker's price for a leg: the maker's own where both trade one token, else its complement."""
    return leg.price if leg.token == taker_token else ONE - leg.price
