"""Where the outside world is, and who we are there: URLs, chain, contracts, wallets and their API credentials.

Values only. The service's configuration reads and validates them; the defaults are Polymarket's production addresses.
No private key has a place here (S-21).
"""

from __future__ import annotations

from typing import NoReturn

import msgspec


class Secret:
    """A string that shows itself only on request: ``repr``, ``str``, formatting and pickling never reveal it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself; call it where it is used and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret was about to be serialised; keep it in memory only.")


class ApiCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """The CLOB API key of a wallet (level 2 authentication). It reads; it cannot sign orders (S-21)."""

    key: Secret
    secret: Secret
    passphrase: Secret


class WalletSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet: ``address`` holds the tokens (funder), ``signer_address`` owns the API key; often they differ.

    ``signature_type``: 0 EOA, 1 Polymarket proxy, 2 Safe, 3 deposit wallet. Without credentials the wallet's
    authenticated reads fail as UNAUTHORIZED, all others work.
    """

    name: str
    address: str
    signer_address: str
    signature_type: int = 0
    credentials: ApiCredentials | None = None


class PolymarketSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the readers and their driver need to know.

    ``position_contracts`` are further ERC-1155 contracts beside ``conditional_tokens`` (X-08); the first of them owns
    the tokens of markets of version ``v2`` (R-18). An empty address of a collateral bucket leaves that bucket out.
    ``exchanges`` are the contracts whose ``OrderFilled`` is a fill. ``reward_senders`` pay rewards and rebates by plain
    transfers; none is known for certain, so there are none unless they are named. ``further_rpc_urls`` are asked for
    logs where ``rpc_url`` does not answer, and with it for agreement (X-14). ``confirmations`` None pins the
    ``finalized`` block, and ``fallback_confirmations`` below the head where the RPC has no such tag (R-31).
    ``retries_per_read`` bounds the repetitions of all calls of one read together (D-15).
    """

    clob_url: str = "https://clob.polymarket.com"
    data_api_url: str = "https://data-api.polymarket.com"
    gamma_url: str = "https://gamma-api.polymarket.com"
    user_ws_url: str = "wss://ws-subscriptions-clob.polymarket.com/ws/user"
    rpc_url: str = "https://polygon.drpc.org"
    further_rpc_urls: tuple[str, ...] = ()
    chain_id: int = 137
    collateral: str = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
    usdc_e: str = "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174"
    wrapped_collateral: str = "0x3A3BD7bb9528E159577F7C2e685CC81A765002E2"
    conditional_tokens: str = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
    neg_risk_adapter: str = "0xd91E80cF2E7be2e162c6513ceD06f1dD0dA35296"
    exchanges: tuple[str, ...] = (
        "0xE111180000d2663C0091e4f400237545B87B996B",
        "0xe2222d279d744050d28e00520010520000310F59",
        "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa",
    )
    reward_senders: tuple[str, ...] = ()
    position_contracts: tuple[str, ...] = ("0x006F54F7f9A22e0000CC2AB60031000000ae9fEF",)
    multicall: str = "0xcA11bde05977b3631167028862bE2a173976CA11"
    confirmations: int | None = None
    fallback_confirmations: int = 20
    timeout_ms: int = 5000
    max_in_flight: int = 50
    max_body_bytes: int = 32 * 1024 * 1024
    retries_per_read: int = 3
    wallets: tuple[WalletSettings, ...] = ()

    @property
    def rpc_urls(self) -> tuple[str, ...]:
        """All RPC endpoints of the chain, the first one first."""
        return (self.rpc_url, *self.further_rpc_urls)

    @property
    def collateral_buckets(self) -> tuple[tuple[str, str], ...]:
        """Name and address of each ERC-20 that counts as cash (R-19, X-10)."""
        named = (("pusd", self.collateral), ("usdc_e", self.usdc_e), ("wcol", self.wrapped_collateral))
        return tuple((name, address) for name, address in named if address)

    def wallet(self, name: str) -> WalletSettings:
        """The wallet of that configured name; KeyError when there is none."""
        for wallet in self.wallets:
            if wallet.name == name:
                return wallet
        known = ", ".join(sorted(wallet.name for wallet in self.wallets)) or "none"
        raise KeyError(f"wallet {name!r} is not configured; configured are: {known}")
