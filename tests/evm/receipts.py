"""What Polymarket's contracts log for each operation, in order: contract, event, addresses in its topics.

Written from the published events, the order in the contracts' sources and captured receipts. The operations are nested
calls, and so are these lists: a split by an adapter is its pUSD unwrapped, the split beneath it, and a batch back.
"""

from __future__ import annotations

from collections.abc import Callable

Lines = list[str]

STANDARD, NEG_RISK = "collateral_adapter", "neg_risk_collateral_adapter"
NRA, WCOL, CTF = "neg_risk_adapter", "wrapped_collateral", "conditional_tokens"


def spent(owner: str, to: str, spender: str) -> Lines:
    """Bridged USDC logs what is left of an allowance."""
    return [f"usdc_e Transfer {owner} {to}", f"usdc_e Approval {owner} {spender}"]


def batch(operator: str, giver: str, to: str) -> Lines:
    return [f"{CTF} TransferBatch {operator} {giver} {to}"]


def single(operator: str, giver: str, to: str) -> Lines:
    return [f"{CTF} TransferSingle {operator} {giver} {to}"]


def only(condition: object, line: str) -> Lines:
    return [line] if condition else []


# pUSD and bridged USDC


def unwrapped(payer: str, caller: str, to: str) -> Lines:
    return [
        f"pusd Transfer {payer} pusd",
        *spent("vault", to, "pusd"),
        "pusd Transfer pusd nobody",
        f"pusd Unwrapped {caller} usdc_e {to}",
    ]


def minted(caller: str, to: str) -> Lines:
    """The bridged USDC is there already."""
    return [f"pusd Transfer nobody {to}", "usdc_e Transfer pusd vault", f"pusd Wrapped {caller} usdc_e {to}"]


def wrapped(caller: str, to: str) -> Lines:
    return [f"usdc_e Transfer {caller} pusd", *minted(caller, to)]


# Positions, called directly


def split(by: str) -> Lines:
    return [
        *spent(by, CTF, CTF),
        *batch(by, "nobody", by),
        f"{CTF} PositionSplit {by}",
    ]


def merged(by: str) -> Lines:
    return [*batch(by, by, "nobody"), f"usdc_e Transfer {CTF} {by}", f"{CTF} PositionsMerge {by}"]


def redeemed(by: str, held: int) -> Lines:
    """``held``: how many of both outcomes it has; nothing is burned of what it has not."""
    return [
        *single(by, by, "nobody") * held,
        f"usdc_e Transfer {CTF} {by}",
        f"{CTF} PayoutRedemption {by} usdc_e",
    ]


def split_unbacked() -> Lines:
    """Of wrapped collateral, which the neg-risk adapter has."""
    return [
        f"{WCOL} Transfer {NRA} {CTF}",
        *batch(NRA, "nobody", NRA),
        f"{CTF} PositionSplit {NRA}",
    ]


def neg_risk_split(by: str) -> Lines:
    return [
        *spent(by, NRA, NRA),
        *spent(NRA, WCOL, WCOL),
        f"{WCOL} Transfer nobody {NRA}",
        *split_unbacked(),
        *batch(NRA, NRA, by),
        f"{NRA} NegRisk.PositionSplit {by}",
    ]


def neg_risk_merged(by: str) -> Lines:
    return [
        *batch(NRA, by, NRA),
        *batch(NRA, NRA, "nobody"),
        f"{WCOL} Transfer {CTF} {NRA}",
        f"{CTF} PositionsMerge {NRA}",
        f"{WCOL} Transfer {NRA} nobody",
        f"usdc_e Transfer {WCOL} {by}",
        f"{NRA} NegRisk.PositionsMerge {by}",
    ]


def neg_risk_redeemed(by: str, held: int) -> Lines:
    return [
        *batch(NRA, by, NRA),
        *single(NRA, NRA, "nobody") * held,
        f"{WCOL} Transfer {CTF} {NRA}",
        f"{CTF} PayoutRedemption {NRA} {WCOL}",
        f"{WCOL} Transfer {NRA} nobody",
        f"usdc_e Transfer {WCOL} {by}",
        f"{NRA} NegRisk.PayoutRedemption {by}",
    ]


def converted(by: str, given: int, received: int, *, fee: bool = False) -> Lines:
    """So many NO given, so many YES received; the fee's part of both goes to the vault."""
    takers = ["fee_vault", by] if fee else [by]
    cash = [f"usdc_e Transfer {WCOL} {taker}" for taker in takers] if given > 1 else []
    shares = [line for taker in takers for line in batch(NRA, NRA, taker)] if received else []
    return [
        f"{WCOL} Transfer nobody {NRA}",
        *split_unbacked() * received,
        *batch(NRA, by, "burn"),
        *batch(NRA, NRA, "burn"),
        *cash,
        *shares,
        f"{NRA} NegRisk.PositionsConverted {by}",
    ]


def called_by(who: str, operation: str, *held: int, neg_risk: bool) -> Lines:
    """One of the three above, on ConditionalTokens or on the neg-risk adapter."""
    standard: dict[str, Callable[..., Lines]] = {"split": split, "merged": merged, "redeemed": redeemed}
    others: dict[str, Callable[..., Lines]] = {
        "split": neg_risk_split,
        "merged": neg_risk_merged,
        "redeemed": neg_risk_redeemed,
    }
    return (others if neg_risk else standard)[operation](who, *held)


# The same by an adapter, for a wallet: the stakeholder is the adapter


def beneath(adapter: str, operation: str, *held: int) -> Lines:
    """What the adapter does with its own tokens and bridged USDC."""
    return called_by(adapter, operation, *held, neg_risk=adapter.startswith("neg_risk"))


def adapter_split(adapter: str, wallet: str = "wallet") -> Lines:
    return [
        *unwrapped(wallet, adapter, adapter),
        *beneath(adapter, "split"),
        *batch(adapter, adapter, wallet),
    ]


def adapter_merged(adapter: str, wallet: str = "wallet") -> Lines:
    return [*batch(adapter, wallet, adapter), *beneath(adapter, "merged"), *wrapped(adapter, wallet)]


def adapter_redeemed(adapter: str, held: int) -> Lines:
    return [*batch(adapter, "wallet", adapter), *beneath(adapter, "redeemed", held), *wrapped(adapter, "wallet")]


def adapter_converted(given: int, received: int, *, fee: bool = False) -> Lines:
    return [
        *batch(NEG_RISK, "wallet", NEG_RISK),
        *converted(NEG_RISK, given, received, fee=fee),
        *batch(NEG_RISK, NEG_RISK, "wallet"),
        *(wrapped(NEG_RISK, "wallet") if given > 1 else []),
    ]


def auto_redeemed(*, neg_risk: bool, held: int) -> Lines:
    who = "auto_redeemer"
    return [
        *batch(who, "wallet", who),
        *(neg_risk_redeemed(who, held) if neg_risk else redeemed(who, held)),
        *spent(who, "pusd", "ramp"),
        *minted("ramp", "wallet"),
        f"{who} {'NegRisk' if neg_risk else 'Binary'}Redemption wallet",
    ]


# Matches of one maker. The exchange is the taker of the taker's own order.


def taker_logged(exchange: str, taker: str) -> Lines:
    return [f"{exchange} OrderFilled {taker} {exchange}", f"{exchange} OrdersMatched {taker}"]


FEE = "FeeCharged fee_receiver"


def bought(exchange: str, taker: str, maker: str, *, fee_of: str = "") -> Lines:
    """A taker's BUY meets a maker's SELL; the fees come from the taker, at the end."""
    return [
        *single(exchange, maker, taker),
        *only(fee_of == maker, f"{exchange} {FEE}"),
        f"pusd Transfer {taker} {maker}",
        f"{exchange} OrderFilled {maker} {taker}",
        *only(fee_of == taker, f"{exchange} {FEE}"),
        *taker_logged(exchange, taker),
        *only(fee_of, f"pusd Transfer {taker} fee_receiver"),
    ]


def sold(exchange: str, taker: str, maker: str, *, fee_of: str = "") -> Lines:
    """A taker's SELL meets a maker's BUY; the pUSD goes by the exchange."""
    return [
        *single(exchange, taker, maker),
        f"pusd Transfer {maker} {exchange}",
        *only(fee_of == maker, f"{exchange} {FEE}"),
        f"{exchange} OrderFilled {maker} {taker}",
        *only(fee_of == taker, f"{exchange} {FEE}"),
        f"pusd Transfer {exchange} {taker}",
        *taker_logged(exchange, taker),
        *only(fee_of, f"pusd Transfer {exchange} fee_receiver"),
    ]


def both_bought(exchange: str, factory: str, taker: str, *makers: str) -> Lines:
    """MINT, with a fee of the taker: pUSD of all is split once, and each gets the outcome it wants."""
    return [
        *[f"pusd Transfer {each} {exchange}" for each in (taker, *makers)],
        *adapter_split(factory, exchange),
        *[
            line
            for maker in makers
            for line in (*single(exchange, exchange, maker), f"{exchange} OrderFilled {maker} {taker}")
        ],
        f"{exchange} {FEE}",
        f"pusd Transfer {exchange} fee_receiver",
        *single(exchange, exchange, taker),
        *taker_logged(exchange, taker),
    ]


def both_sold(exchange: str, factory: str, taker: str, maker: str) -> Lines:
    """MERGE, with a fee of the taker."""
    return [
        *single(exchange, taker, exchange),
        *single(exchange, maker, exchange),
        *adapter_merged(factory, exchange),
        f"pusd Transfer {exchange} {maker}",
        f"{exchange} OrderFilled {maker} {taker}",
        f"pusd Transfer {exchange} {taker}",
        f"{exchange} {FEE}",
        *taker_logged(exchange, taker),
        f"pusd Transfer {exchange} fee_receiver",
    ]
