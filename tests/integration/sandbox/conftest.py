"""A running sandbox for each test module, quiet and with fast blocks, and requests to it that are signed here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess

TIMEOUT_S = 60
"""Generous for a loaded machine; what answers needs milliseconds."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(WorldOptions(activity=False, block_time_ms=200)) as process:
        yield process


@pytest.fixture
def still(sandbox: SandboxProcess) -> Iterator[SandboxProcess]:
    """The sandbox begun anew with its time standing still, no faults and default settings."""
    sandbox.control.clear_faults()
    sandbox.control.settings(
        page_size=100, data_lag_blocks=0, latency_ms=0, first_frame_ms=10_000, logs_range_blocks=10_000
    )
    sandbox.control.reseed(7)
    sandbox.control.pause()
    yield sandbox
    sandbox.control.clear_faults()
    sandbox.control.resume()


def signed_headers(info: dict[str, Any], path: str, *, method: str = "GET", age_s: int = 0) -> dict[str, str]:
    """Level 2 headers, made here by the documented rule and not by the SDK."""
    wallet = info["wallet"]
    timestamp = str(int(time.time()) - age_s)
    key = base64.urlsafe_b64decode(wallet["api_secret"])
    digest = hmac.new(key, f"{timestamp}{method}{path}".encode(), hashlib.sha256).digest()
    return {
        "POLY_ADDRESS": wallet["signer_address"],
        "POLY_SIGNATURE": base64.urlsafe_b64encode(digest).decode(),
        "POLY_TIMESTAMP": timestamp,
        "POLY_API_KEY": wallet["api_key"],
        "POLY_PASSPHRASE": wallet["api_passphrase"],
    }


def clob_get(process: SandboxProcess, path: str, **params: str) -> requests.Response:
    """A signed GET of the exchange."""
    url = process.urls["clob_url"] + path
    return requests.get(url, params=params, headers=signed_headers(process.info, path), timeout=TIMEOUT_S)


def clob_pages(process: SandboxProcess, path: str, **params: str) -> list[list[dict[str, Any]]]:
    """Every page of a list of the exchange."""
    pages, cursor = [], "MA=="
    while cursor != "LTE=":
        body = clob_get(process, path, next_cursor=cursor, **params).json()
        pages.append(body["data"])
        cursor = body["next_cursor"]
    return pages


def positions(process: SandboxProcess, **params: str) -> list[dict[str, Any]]:
    """Every position that the Data API shows, dust included."""
    user = process.info["wallet"]["address"]
    query = {"user": user, "filter_amount": "0", "limit": "500", **params}
    response = requests.get(process.urls["data_api_url"] + "/v2/positions", params=query, timeout=TIMEOUT_S)
    rows: list[dict[str, Any]] = response.json()["data"]
    return rows


def rpc(process: SandboxProcess, method: str, *params: Any) -> Any:
    """The whole JSON-RPC answer to one call."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return requests.post(process.urls["rpc_url"], json=body, timeout=TIMEOUT_S).json()


def gamma(process: SandboxProcess, path: str, **params: Any) -> Any:
    """A GET of Gamma."""
    return requests.get(process.urls["gamma_url"] + path, params=params, timeout=TIMEOUT_S).json()
