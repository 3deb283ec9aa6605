"""JSON as every output of the service writes it: exact decimals as numbers, keys in the order given, no float."""

from __future__ import annotations

from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(value: Any) -> bytes:
    """One JSON document. Takes plain data, structs and decimals."""
    return _encoder.encode(value)


def pretty(value: Any) -> str:
    """The same, indented for people."""
    return msgspec.json.format(encode(value), indent=2).decode()
