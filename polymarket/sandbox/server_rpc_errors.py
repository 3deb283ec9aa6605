"""The errors of the JSON-RPC endpoint, by their codes and with the texts of real nodes."""

from __future__ import annotations

from typing import Any

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
SERVER_ERROR, LOGS_LIMITED, REVERTED = -32000, -32701, 3


class RpcError(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.body: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            self.body["data"] = data


def no_method(name: str) -> RpcError:
    """The node does not know a method, or does not offer it."""
    return RpcError(NO_METHOD, f"the method {name[:60]} does not exist/is not available")
