"""Names that a seed makes: hashes, UUIDs, keys, addresses. The same seed names the same things in the same order."""

from __future__ import annotations

import base64
import random
import uuid

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak


class Names:
    """A source of names; each purpose has its own numbers, so that one more trade changes no order's id."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._counts: dict[str, int] = {}

    def bytes32(self, purpose: str) -> bytes:
        """The next 32 bytes for a purpose."""
        count = self._counts.get(purpose, 0)
        self._counts[purpose] = count + 1
        return keccak(f"{self.seed}/{purpose}/{count}".encode())

    def hash32(self, purpose: str) -> str:
        """The next 0x-hash of 32 bytes."""
        return "0x" + self.bytes32(purpose).hex()

    def address(self, purpose: str) -> str:
        """The next address, in lower case."""
        return "0x" + self.bytes32(purpose)[:20].hex()

    def uuid(self, purpose: str) -> str:
        """The next UUID."""
        return str(uuid.UUID(bytes=self.bytes32(purpose)[:16], version=4))

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for a purpose."""
        return random.Random(f"{self.seed}/{purpose}")

    def private_key(self, purpose: str) -> PrivateKey:
        """The next private key; it signs in the sandbox only."""
        return PrivateKey(self.bytes32(purpose))

    def secret(self, purpose: str) -> str:
        """The next API secret, URL-safe base64 as the exchange issues it."""
        return base64.urlsafe_b64encode(self.bytes32(purpose)).decode()
