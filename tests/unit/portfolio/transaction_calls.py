"""What the contracts write when somebody splits, merges, redeems or converts, after their sources.

A user calls a collateral adapter or the contract itself; an adapter unwraps and wraps around the conditional tokens, or
around the neg-risk adapter, which does the same around them.
"""

from __future__ import annotations

from collections.abc import Sequence

from portfolio.chain import ChangeKind, PayoutRedeemed, PositionsConverted, PositionsMerged, PositionSplit
from portfolio.labelling_book import NOBODY
from tests.unit.portfolio.transaction_logs import (
    BURN,
    CTF,
    EVENT,
    FEE_VAULT,
    NEG_ADAPTER,
    NRA,
    QUESTIONS,
    REDEEMER,
    WCOL,
    Market,
    Writer,
)


class Calls(Writer):
    """Splits, merges, redemptions and conversions."""

    def ctf_split(self, caller: str, market: Market, amount: int) -> None:
        self.cash(market.bucket, caller, CTF, amount)
        self.tokens(NOBODY, caller, (market.yes, amount), (market.no, amount))
        self.emit(PositionSplit, CTF, stakeholder=caller, condition_id=market.name, amount_micro=amount)

    def inner_split(self, caller: str, market: Market, amount: int) -> None:
        """What an adapter or a user calls; he pays bridged USDC and gets both tokens."""
        if market.index is None:
            self.ctf_split(caller, market, amount)
            return
        self.cash("usdc_e", caller, NRA, amount)
        self.cash("usdc_e", NRA, WCOL, amount)
        self.cash("wcol", NOBODY, NRA, amount)
        self.ctf_split(NRA, market, amount)
        self.tokens(NRA, caller, (market.yes, amount), (market.no, amount))
        self.emit(PositionSplit, NRA, stakeholder=caller, condition_id=market.name, amount_micro=amount)

    def split_by(self, user: str, market: Market, amount: int, adapter: str) -> None:
        self.unwrap_to(user, adapter, amount)
        self.inner_split(adapter, market, amount)
        self.tokens(adapter, user, (market.yes, amount), (market.no, amount))

    def split(self, user: str, market: Market, amount: int, *, direct: bool = False) -> None:
        if direct:
            self.inner_split(user, market, amount)
        else:
            self.split_by(user, market, amount, market.adapter)
        legs = [(market.yes, amount), (market.no, amount)]
        bucket = "usdc_e" if direct else "pusd"
        self.expect(user, ChangeKind.POSITION_SPLIT, market.name, legs, [(bucket, -amount)])

    def ctf_merge(self, caller: str, market: Market, amount: int) -> None:
        self.tokens(caller, NOBODY, (market.yes, amount), (market.no, amount))
        self.cash(market.bucket, CTF, caller, amount)
        self.emit(PositionsMerged, CTF, stakeholder=caller, condition_id=market.name, amount_micro=amount)

    def inner_merge(self, caller: str, market: Market, amount: int) -> None:
        if market.index is None:
            self.ctf_merge(caller, market, amount)
            return
        self.tokens(caller, NRA, (market.yes, amount), (market.no, amount))
        self.ctf_merge(NRA, market, amount)
        self.cash("wcol", NRA, NOBODY, amount)
        self.cash("usdc_e", WCOL, caller, amount)
        self.emit(PositionsMerged, NRA, stakeholder=caller, condition_id=market.name, amount_micro=amount)

    def merge_by(self, user: str, market: Market, amount: int, adapter: str) -> None:
        self.tokens(user, adapter, (market.yes, amount), (market.no, amount))
        self.inner_merge(adapter, market, amount)
        self.wrap_to(adapter, user, amount)

    def merge(self, user: str, market: Market, amount: int, *, direct: bool = False) -> None:
        if direct:
            self.inner_merge(user, market, amount)
        else:
            self.merge_by(user, market, amount, market.adapter)
        legs = [(market.yes, -amount), (market.no, -amount)]
        bucket = "usdc_e" if direct else "pusd"
        self.expect(user, ChangeKind.POSITION_MERGED, market.name, legs, [(bucket, amount)])

    # Redemptions; ``held`` are YES and NO, ``payout`` what they are worth.

    def ctf_redeem(self, caller: str, market: Market, held: tuple[int, int], payout: int) -> None:
        for token, shares in zip((market.yes, market.no), held, strict=True):
            if shares:
                self.tokens(caller, NOBODY, (token, shares))
        if payout:
            self.cash(market.bucket, CTF, caller, payout)
        self.emit(PayoutRedeemed, CTF, redeemer=caller, condition_id=market.name, payout_micro=payout)

    def inner_redeem(self, caller: str, market: Market, held: tuple[int, int], payout: int) -> None:
        if market.index is None:
            self.ctf_redeem(caller, market, held, payout)
            return
        self.tokens(caller, NRA, (market.yes, held[0]), (market.no, held[1]))
        self.ctf_redeem(NRA, market, held, payout)
        if payout:
            self.cash("wcol", NRA, NOBODY, payout)
            self.cash("usdc_e", WCOL, caller, payout)
        self.emit(PayoutRedeemed, NRA, redeemer=caller, condition_id=market.name, payout_micro=payout)

    def redeem(self, user: str, market: Market, held: tuple[int, int], payout: int, *, direct: bool = False) -> None:
        if direct:
            self.inner_redeem(user, market, held, payout)
        else:
            self.redeem_by(market.adapter, user, market, held, payout)
            self.wrap_to(market.adapter, user, payout)
        self._expect_redeemed(user, market, held, ("usdc_e" if direct else "pusd", payout))

    def redeem_for(self, user: str, market: Market, held: tuple[int, int], payout: int) -> None:
        """An operator redeems for the holder; it wraps nothing where nothing was paid."""
        self.redeem_by(REDEEMER, user, market, held, payout)
        if payout:
            self.wrap_to(REDEEMER, user, payout)
        self._expect_redeemed(user, market, held, ("pusd", payout))

    def redeem_by(self, agent: str, user: str, market: Market, held: tuple[int, int], payout: int) -> None:
        self.tokens(user, agent, (market.yes, held[0]), (market.no, held[1]))
        self.inner_redeem(agent, market, held, payout)

    def _expect_redeemed(self, user: str, market: Market, held: tuple[int, int], paid: tuple[str, int]) -> None:
        if any(held):
            legs = [(market.yes, -held[0]), (market.no, -held[1])]
            self.expect(user, ChangeKind.REDEEMED, market.name, legs, [paid])

    # Conversions.

    def nra_convert(self, caller: str, indexes: Sequence[int], amount: int, fee_bips: int) -> int:
        """Returns the collateral that the caller got."""
        given = [market for market in QUESTIONS if market.index in indexes]
        taken = [market for market in QUESTIONS if market.index not in indexes]
        fee = amount * fee_bips // 10_000
        out = amount - fee
        for market in taken:
            self.ctf_split(NRA, market, amount)
        self.tokens(caller, BURN, *((market.no, amount) for market in given))
        self.tokens(NRA, BURN, *((market.no, amount) for market in taken))
        cash = (len(given) - 1) * out
        if len(given) > 1:
            if fee:
                self.cash("usdc_e", WCOL, FEE_VAULT, (len(given) - 1) * fee)
            self.cash("usdc_e", WCOL, caller, cash)
        if taken:
            if fee:
                self.tokens(NRA, FEE_VAULT, *((market.yes, fee) for market in taken))
            self.tokens(NRA, caller, *((market.yes, out) for market in taken))
        index_set = sum(1 << index for index in indexes)
        values = {"neg_risk_market_id": EVENT, "index_set": index_set, "amount_micro": amount}
        self.emit(PositionsConverted, NRA, stakeholder=caller, **values)
        return cash

    def convert(
        self, user: str, indexes: Sequence[int], amount: int, *, fee_bips: int = 0, direct: bool = False
    ) -> None:
        out = amount - amount * fee_bips // 10_000
        given = [(market.no, amount) for market in QUESTIONS if market.index in indexes]
        taken = [(market.yes, out) for market in QUESTIONS if market.index not in indexes]
        if direct:
            cash = self.nra_convert(user, indexes, amount, fee_bips)
        else:
            self.tokens(user, NEG_ADAPTER, *given)
            cash = self.nra_convert(NEG_ADAPTER, indexes, amount, fee_bips)
            self.tokens(NEG_ADAPTER, user, *taken)
            if cash:
                self.wrap_to(NEG_ADAPTER, user, cash)
        legs = [*((token, -shares) for token, shares in given), *taken]
        self.expect(user, ChangeKind.CONVERTED, EVENT, legs, [("usdc_e" if direct else "pusd", cash)])
