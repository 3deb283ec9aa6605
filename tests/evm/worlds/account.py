"""A wallet that is a contract: it does in one transaction what others need several for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.evm.stage import Market, Stage, Wallet
from tests.evm.stage.chain import DEEPEST
from tests.evm.stage.play import WALLET_MICRO


class Account(Wallet):
    """Its transactions are sent by the operator, so it needs no key."""

    _calls: tuple[tuple[str, str], ...] = ()
    _gathers = False

    def __init__(self, stage: Stage) -> None:
        """With as much cash as any other wallet of the stage."""
        self._name = f"account {stage.fresh_hash()}"
        super().__init__(stage, stage._create(self._name, "Account"))
        with self.one_transaction():
            self.prepare(WALLET_MICRO)
        stage.mine(DEEPEST)

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        """What it does inside is one transaction, in that order."""
        self._calls, self._gathers = (), True
        try:
            yield
        finally:
            self._gathers = False
        self._send()

    def redeem_for(self, owners: Sequence[str], market: Market) -> None:
        """As an operator, who redeems for many at once."""
        function = "redeemNegRisk" if market.neg_risk else "redeemBinary"
        with self.one_transaction():
            for owner in owners:
                self._do("auto_redeemer", function, owner, market.condition)

    def _do(self, contract: str, function: str, *arguments: Any) -> str:
        called = self.chain.contract(contract)
        self._calls += ((called.address, called.encode_abi(function, list(arguments))),)
        return "" if self._gathers else self._send()

    def _send(self) -> str:
        calls, self._calls = self._calls, ()
        run = self.chain.contract(self._name).functions.run([to for to, _ in calls], [data for _, data in calls])
        return self.chain.send(self.chain.address("operator"), run)
