"""A wallet in a market, for the tests of the stage itself."""

from __future__ import annotations

from dataclasses import dataclass

from tests.evm.stage import Market, Reader, Side, Stage, Terms, Wallet

ONE = 1_000_000
FEE = 12_340
HELD = 100 * ONE


@dataclass(frozen=True)
class Scene:
    """The wallet holds :data:`HELD` of each outcome of the market, which is alone or the first of an event."""

    stage: Stage
    wallet: Wallet
    market: Market

    @classmethod
    def set(cls, stage: Stage, wallet: Wallet, *, neg_risk: bool) -> Scene:
        """A new market, and the wallet's shares of it."""
        market = stage.event(2).markets[0] if neg_risk else stage.market()
        wallet.split(market, HELD)
        return cls(stage, wallet, market)

    @property
    def reader(self) -> Reader:
        return Reader.of(self.stage.addresses, wallet=self.wallet.address)

    def lines(self, transaction: str) -> list[str]:
        """What it logged."""
        return self.reader.lines(self.stage.receipt(transaction)["logs"])

    def terms(self, side: Side, *, across: bool = False, fee: int = FEE) -> Terms:
        return Terms(market=self.market, side=side, shares=3 * ONE, price=410_000, fee=fee, across=across)

    def answered(self, *, no: int = HELD) -> Market:
        """Another market of the same kind, answered YES, of which the wallet holds that many NO."""
        market = Scene.set(self.stage, self.wallet, neg_risk=self.market.neg_risk).market
        if no < HELD:
            self.wallet.transfer_out(market.tokens[1], HELD - no)
        self.stage.resolve(market)
        return market

    @property
    def adapter(self) -> str:
        return f"{self.market.prefix}collateral_adapter"

    @property
    def exchange(self) -> str:
        return f"{self.market.prefix}exchange"

    @property
    def factory(self) -> str:
        return f"{self.market.prefix}outcome_token_factory"


def changes(wallet: Wallet, block: int) -> tuple[dict[str, int], dict[str, int]]:
    """What that block changed, by token and by bucket, without zeros; straight from the contracts."""
    before, after = wallet.balances_at(block - 1), wallet.balances_at(block)
    return difference(before.tokens, after.tokens), difference(before.cash, after.cash)


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    both = {key: after.get(key, 0) - before.get(key, 0) for key in before | after}
    return {key: value for key, value in both.items() if value}
