"""What can be made to happen in the world by hand: one message for each kind; ``acting`` carries them out.

Sizes, prices and amounts are decimal texts, as on the exchange's wire. A token is named by ``token_id``, or by
``condition_id`` and ``outcome``. What goes through the chain happens in the next block; ``mine`` makes that at once.
"""

from __future__ import annotations

import msgspec


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    """Something to happen now."""


class TokenAction(Action, frozen=True, kw_only=True):
    """Something about one token."""

    token_id: str = ""
    condition_id: str = ""
    outcome: str = "Yes"


class Matching(Action, frozen=True, kw_only=True):
    """Something that makes a match, and how that is to settle; see ``trading.Settlement``.

    ``delay_blocks`` keep it MATCHED before its transaction is sent. ``retries`` transactions fail (RETRYING), then the
    next one settles it under another hash, or with ``fail`` fails too (FAILED); ``stuck`` leaves it for ever as it is
    after its retries. What fails reverts on the chain, or where ``dropped`` never reaches it. ``hash_at_match`` shows a
    transaction hash from the match on (``retries`` does so anyway); ``unbroadcast`` lets REST list the match as
    MATCHED_NOT_BROADCASTED.
    """

    delay_blocks: int = 0
    retries: int = 0
    stuck: bool = False
    fail: bool = False
    dropped: bool = False
    hash_at_match: bool = False
    unbroadcast: bool = False


class TokenMatching(Matching, frozen=True, kw_only=True):
    """Something that makes a match in one token."""

    token_id: str = ""
    condition_id: str = ""
    outcome: str = "Yes"


class ExternalTrade(TokenMatching, frozen=True, kw_only=True, tag="external_trade"):
    """The wallet's other client trades with a stranger at exactly this price (R-21).

    ``listed`` False keeps it out of the exchange's trade list and user channel: only the chain shows it. As ``role``
    MAKER it was a resting order of that client that a stranger took.
    """

    side: str
    size: str
    price: str
    role: str = "TAKER"
    listed: bool = True


class FillOrder(Matching, frozen=True, kw_only=True, tag="fill"):
    """A stranger takes ``size`` (all that is open where it is empty) of one of the wallet's resting orders.

    ``cross`` takes it from the other outcome, by minting or merging.
    """

    order_id: str
    size: str = ""
    cross: bool = False


class Place(TokenMatching, frozen=True, kw_only=True, tag="place"):
    """The wallet places an order, with its strategy's API key or (``client`` "other") with the other one.

    If the order takes others, that match settles as it is said here.
    """

    side: str
    price: str
    size: str
    order_type: str = "GTC"
    expires_s: int = 0
    client: str = "own"


class Cancel(Action, frozen=True, kw_only=True, tag="cancel"):
    """An order of anybody ends with that status."""

    order_id: str
    status: str = "CANCELED"


class Split(Action, frozen=True, kw_only=True, tag="split"):
    """The wallet splits pUSD into shares of both outcomes; ``direct`` takes bridged USDC instead of pUSD (R-19)."""

    condition_id: str
    amount: str
    direct: bool = False


class Merge(Action, frozen=True, kw_only=True, tag="merge"):
    """The wallet merges shares of both outcomes; ``direct`` pays bridged USDC instead of pUSD (R-19)."""

    condition_id: str
    amount: str
    direct: bool = False


class Redeem(Action, frozen=True, kw_only=True, tag="redeem"):
    """The wallet, or with ``operator`` somebody else for it, redeems all shares of a resolved market.

    ``direct`` pays bridged USDC instead of pUSD (R-19); an operator pays pUSD.
    """

    condition_id: str
    direct: bool = False
    operator: bool = False


class Convert(Action, frozen=True, kw_only=True, tag="convert"):
    """The wallet converts NO of the questions of a neg-risk event; ``direct`` pays bridged USDC (R-19)."""

    neg_risk_market_id: str
    questions: list[int]
    amount: str
    direct: bool = False


class TransferOut(TokenAction, frozen=True, kw_only=True, tag="transfer_out"):
    """Shares leave the wallet; with ``asset`` (pusd, usdc_e) it is cash that leaves."""

    amount: str
    asset: str = ""


class TransferIn(TokenAction, frozen=True, kw_only=True, tag="transfer_in"):
    """Shares reach the wallet; with ``asset`` (pusd, usdc_e) it is cash."""

    amount: str
    asset: str = ""


class Deposit(Action, frozen=True, kw_only=True, tag="deposit"):
    """The wallet deposits pUSD from outside."""

    amount: str


class Withdraw(Action, frozen=True, kw_only=True, tag="withdraw"):
    """The wallet withdraws pUSD."""

    amount: str


class Wrap(Action, frozen=True, kw_only=True, tag="wrap"):
    """The wallet turns bridged USDC of its own into pUSD."""

    amount: str


class Unwrap(Action, frozen=True, kw_only=True, tag="unwrap"):
    """The wallet turns pUSD into bridged USDC of its own."""

    amount: str


class Resolve(Action, frozen=True, kw_only=True, tag="resolve"):
    """The oracle reports the payouts of a market, [1, 0] where its first outcome won."""

    condition_id: str
    payouts: list[int]


class FailTrade(Action, frozen=True, kw_only=True, tag="fail_trade"):
    """The settlement of a trade that is in no block yet will fail, also of a stuck one, in the block where it is due.

    With ``dropped`` its transaction never reaches the chain.
    """

    trade_id: str
    dropped: bool = False


class SettleTrade(Action, frozen=True, kw_only=True, tag="settle_trade"):
    """A trade that is in no block yet settles in the next one, also a stuck one, without further retries."""

    trade_id: str


class Mine(Action, frozen=True, kw_only=True, tag="mine"):
    """Blocks are produced at once."""

    blocks: int = 1


class Reorganise(Action, frozen=True, kw_only=True, tag="reorganise"):
    """The chain drops its last ``depth`` blocks, and others come in their place (R-31); never a finalized one.

    Every transaction of the dropped blocks comes back under its hash, ``delay`` blocks later than it stood; 0 is the
    same number again, in a block with another hash. What was sent later waits until all are back. Those named in
    ``drop`` (transaction hashes) never come back: what they did is undone. A match among them is left to
    ``SettleTrade``, which sends it with another hash, and to ``FailTrade``; one that the exchange does not list has
    failed. At once ``blocks`` new blocks are built, if not given one more than were dropped; with fewer than ``depth``
    the head goes back. ``trade_status`` (RETRYING, MATCHED) is what the exchange says of a match until it is in a block
    again; empty, it says nothing and the match stays MINED there.
    """

    depth: int
    delay: int = 1
    drop: list[str] = []
    blocks: int | None = None
    trade_status: str = "RETRYING"


class SetPrice(Action, frozen=True, kw_only=True, tag="set_price"):
    """The makers quote a market around another price of its first outcome."""

    condition_id: str
    price: str


AnyAction = (
    ExternalTrade
    | FillOrder
    | Place
    | Cancel
    | Split
    | Merge
    | Redeem
    | Convert
    | TransferOut
    | TransferIn
    | Deposit
    | Withdraw
    | Wrap
    | Unwrap
    | Resolve
    | FailTrade
    | SettleTrade
    | Mine
    | Reorganise
    | SetPrice
)
