"""What the server's APIs share: the world, its clock, the faults, the credentials, and how an answer is written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from eth_utils.address import to_checksum_address

from polymarket.sandbox import addresses
from polymarket.sandbox.genesis import create_world
from polymarket.sandbox.names import Names
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.server_faults import FaultBoard
from polymarket.sandbox.server_request import Answer
from polymarket.sandbox.world import World

View = Callable[..., Answer]
Route = tuple[str, str, View]
"""Method, path below the API's prefix, and the view."""

_NS_PER_MS = 1_000_000
_MS_PER_S = 1000
_APIS = {"clob": "clob", "data_api": "data", "gamma": "gamma", "rpc": "rpc", "control": "control"}
USER_CHANNEL = "/ws/user"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """An API key of the wallet."""

    key: str
    secret: str
    passphrase: str


def machine_ms() -> int:
    """The machine's time in ms."""
    return time.time_ns() // _NS_PER_MS


class WorldClock:
    """The world's time: that of ``wall_ms``, the machine's unless given, or stepped by hand. It never goes back."""

    def __init__(self, wall_ms: Callable[[], int] = machine_ms) -> None:
        self.wall_ms = wall_ms
        """The time in ms that requests are signed with."""
        self._offset_ms = 0
        self._paused_at: int | None = None

    @property
    def paused(self) -> bool:
        """Whether time moves only by ``step``."""
        return self._paused_at is not None

    def now_ms(self) -> int:
        """The world's time in ms."""
        return self.wall_ms() + self._offset_ms if self._paused_at is None else self._paused_at

    def pause(self) -> None:
        """Stop time."""
        self._paused_at = self.now_ms()

    def resume(self) -> None:
        """Let time run from where it stands, or from the machine's time if that is later."""
        if self._paused_at is not None:
            self._offset_ms = max(0, self._paused_at - self.wall_ms())
            self._paused_at = None

    def step(self, ms: int) -> None:
        """Move time forward by hand."""
        if self._paused_at is None:
            self._offset_ms += ms
        else:
            self._paused_at += ms


class Sandbox:
    """The running sandbox. With ``wall_ms`` another clock than the machine's rules world and faults."""

    def __init__(self, world: WorldOptions, server: ServerOptions, wall_ms: Callable[[], int] | None = None) -> None:
        self.options = server
        self.clock = WorldClock(wall_ms or machine_ms)
        self.board = FaultBoard(time.monotonic if wall_ms is None else lambda: wall_ms() / _MS_PER_S)
        self.requests: Counter[str] = Counter()
        self.page_size = server.page_size
        self.data_lag_blocks = server.data_lag_blocks
        self.first_frame_ms = server.first_frame_ms
        self.logs_range_blocks = server.logs_range_blocks
        self.base_url = ""
        self.world: World
        self.credentials: dict[str, Credentials]
        self.reset(world)

    def reset(self, options: WorldOptions) -> None:
        """Begin anew with another world; wallet and keys follow from its seed."""
        self.world = create_world(options, self.clock.now_ms())
        names = Names(options.seed)
        wallet = self.world.wallet
        self.credentials = {
            party.owner: Credentials(
                key=party.owner,
                secret=names.secret("api secret"),
                passphrase=names.hash32("api passphrase")[2:],
            )
            for party in (wallet.strategy, wallet.other)
        }

    def describe(self) -> dict[str, Any]:
        """What a client needs to know: URLs, contracts, the wallet and its keys. The keys work in the sandbox only."""
        wallet = self.world.wallet
        own, other = (self.credentials[party.owner] for party in (wallet.strategy, wallet.other))
        return {
            **{f"{name}_url": f"{self.base_url}/{path}" for name, path in _APIS.items()},
            "user_ws_url": self.base_url.replace("http:", "ws:", 1) + USER_CHANNEL,
            "chain_id": addresses.CHAIN_ID,
            "contracts": addresses.CONTRACTS,
            "wallet": {
                "address": checksummed(wallet.address),
                "signer_address": wallet.signer_address,
                "signature_type": wallet.signature_type,
                "private_key": wallet.private_key,
                "api_key": own.key,
                "api_secret": own.secret,
                "api_passphrase": own.passphrase,
            },
            "other_client": {
                "api_key": other.key,
                "api_secret": other.secret,
                "api_passphrase": other.passphrase,
            },
            "seed": self.world.options.seed,
        }

    def present(self) -> None:
        """Bring the world up to now."""
        self.world.advance(self.clock.now_ms())


@lru_cache(maxsize=65_536)
def checksummed(address: str) -> str:
    """An address as the real APIs write it, in mixed case."""
    return str(to_checksum_address(address))
