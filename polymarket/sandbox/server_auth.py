"""Authentication of the exchange: level 1 by a wallet's signature, level 2 by an API key's HMAC; and signed orders.

Checked for real: a wrong secret, another body, another path or an old timestamp is refused, and so is an order whose
signature does not recover to the signer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from eth_abi.abi import encode
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from polymarket.sandbox import addresses
from polymarket.sandbox.server_request import Request
from polymarket.sandbox.server_state import Sandbox
from polymarket.sandbox.trading import Party

MAX_AGE_S = 60
_ORDER_TYPE = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_ORDER_ABI = ["bytes32", "uint256", "address", "address", "uint256", "uint256", "uint256", "uint8", "uint8", "uint256",
              "bytes32", "bytes32"]  # fmt: skip
_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_AUTH_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId)"
_AUTH_TYPE = "ClobAuth(address address,string timestamp,uint256 nonce,string message)"
_ATTEST = "This message attests that I control the given wallet"


class UnauthorizedError(Exception):
    """The request is not from whom it says; the text is what the API answers."""


def authenticate(sandbox: Sandbox, request: Request, path: str) -> Party:
    """Who sent a level 2 request. Raises :class:`UnauthorizedError`."""
    headers = request.headers
    credentials = sandbox.credentials.get(headers.get("POLY_API_KEY", ""))
    timestamp = headers.get("POLY_TIMESTAMP", "")
    if credentials is None or headers.get("POLY_PASSPHRASE") != credentials.passphrase:
        raise UnauthorizedError("Unauthorized/Invalid api key")
    if headers.get("POLY_ADDRESS", "").lower() != sandbox.world.wallet.signer_address.lower():
        raise UnauthorizedError("Unauthorized/Invalid api key")
    _require_fresh(sandbox, timestamp)
    body = request.body.decode()
    message = f"{timestamp}{request.method}{path}{body}".encode()
    digest = hmac.new(base64.urlsafe_b64decode(credentials.secret), message, hashlib.sha256).digest()
    expected = base64.urlsafe_b64encode(digest).decode()
    if not hmac.compare_digest(expected.encode(), headers.get("POLY_SIGNATURE", "").encode()):
        raise UnauthorizedError("Unauthorized/Invalid api key")
    return sandbox.world.parties()[credentials.key]


def authenticate_wallet(sandbox: Sandbox, request: Request) -> int:
    """Check a level 1 request of the wallet's signer; returns its nonce. Raises :class:`UnauthorizedError`."""
    headers = request.headers
    timestamp, nonce = headers.get("POLY_TIMESTAMP", ""), headers.get("POLY_NONCE", "0")
    _require_fresh(sandbox, timestamp)
    signer = sandbox.world.wallet.signer_address
    domain = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256"],
            [keccak(text=_AUTH_DOMAIN_TYPE), keccak(text="ClobAuthDomain"), keccak(text="1"), addresses.CHAIN_ID],
        )
    )
    struct = keccak(
        encode(
            ["bytes32", "address", "bytes32", "uint256", "bytes32"],
            [keccak(text=_AUTH_TYPE), signer, keccak(text=timestamp), int(nonce), keccak(text=_ATTEST)],
        )
    )
    if recover(keccak(b"\x19\x01" + domain + struct), headers.get("POLY_SIGNATURE", "")) != signer.lower():
        raise UnauthorizedError("Invalid L1 Request headers")
    return int(nonce)


def order_hash(order: Mapping[str, Any], *, exchange: str) -> bytes:
    """EIP-712 hash of a signed order, which is also its id. ValueError or KeyError where the order is malformed."""
    domain = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [
                keccak(text=_DOMAIN_TYPE),
                keccak(text="Polymarket CTF Exchange"),
                keccak(text="2"),
                addresses.CHAIN_ID,
                exchange,
            ],
        )
    )
    struct = keccak(
        encode(
            _ORDER_ABI,
            [
                keccak(text=_ORDER_TYPE),
                int(order["salt"]),
                order["maker"],
                order["signer"],
                int(order["tokenId"]),
                int(order["makerAmount"]),
                int(order["takerAmount"]),
                {"BUY": 0, "SELL": 1}[order["side"]],
                int(order["signatureType"]),
                int(order["timestamp"]),
                bytes.fromhex(str(order["metadata"]).removeprefix("0x")),
                bytes.fromhex(str(order["builder"]).removeprefix("0x")),
            ],
        )
    )
    return keccak(b"\x19\x01" + domain + struct)


def recover(digest: bytes, signature: str) -> str:
    """Address (lower case) that signed a hash; empty where the signature is none."""
    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
        parity = raw[64] - 27 if raw[64] >= 27 else raw[64]
        key = Signature(raw[:64] + bytes([parity])).recover_public_key_from_msg_hash(digest)
    except (ValueError, IndexError, BadSignature, ValidationError):
        return ""
    return str(key.to_address())


def _require_fresh(sandbox: Sandbox, timestamp: str) -> None:
    """Within a minute of the machine's time, or of the world's where that is moved by hand."""
    if not timestamp.isdigit():
        raise UnauthorizedError("Unauthorized/Invalid timestamp")
    nows = {sandbox.clock.wall_ms() // 1000, sandbox.clock.now_ms() // 1000}
    if all(abs(int(timestamp) - now) > MAX_AGE_S for now in nows):
        raise UnauthorizedError("Unauthorized/Expired timestamp")
