"""The wallet that a process of this version serves: exactly one."""

from __future__ import annotations

from service.config import Config, WalletConfig
from service.errors import ServiceError


class NotOneWallet(ServiceError):
    """The configuration names no wallet, or several: one process serves one."""


def the_wallet(config: Config) -> WalletConfig:
    """The configured wallet. Raises NotOneWallet, with what to do."""
    names = [wallet.name for wallet in config.wallets]
    if len(names) == 1:
        return config.wallets[0]
    if not names:
        raise NotOneWallet("no wallet is configured; add a [[wallets]] section with name and address")
    raise NotOneWallet(
        f"{len(names)} wallets are configured ({', '.join(names)}), this version serves one per process; "
        "give each a configuration file and a database of its own"
    )
