"""The demo's own directory: configuration file, database, log. It stays, so that one can look further afterwards."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.config import Config, load
from service.config.credentials import PARTS, prefix_of

STRATEGY = "market-maker"


def make_folder() -> Path:
    """A new directory with a short path, for the control socket lies in it."""
    return Path(tempfile.mkdtemp(prefix="portfolio-sync-demo-", dir="/tmp"))


def configure(folder: Path, info: Mapping[str, Any], storage_url: str) -> Config:
    """Write the configuration of a service against the sandbox, and load it. Its credentials go to the environment.

    In a database of somebody else's the wallet has a name of its own: what an earlier demo left there is another world.
    """
    name = f"demo-{secrets.token_hex(3)}" if storage_url else "demo"
    file = folder / "portfolio-sync.toml"
    file.write_text(_text(folder, info, name, storage_url), encoding="utf-8")
    for part in PARTS:
        os.environ[f"{prefix_of(name)}_{part}"] = info["wallet"][part.lower()]
    return load(file)


def _text(folder: Path, info: Mapping[str, Any], name: str, storage_url: str) -> str:
    url = storage_url or f"sqlite:///{folder}/books.db"
    markets = ", ".join(f'"{market}"' for market in info["markets"])
    strategy = f"\n[strategies.{STRATEGY}]\nmarkets = [{markets}]\n"
    return _service_text(folder, info["wallet"], name, url) + world_text(info) + strategy


def _service_text(folder: Path, wallet: Mapping[str, Any], name: str, url: str) -> str:
    return f"""# Made by `portfolio-sync demo`. The sandbox that it names ran only during the demo.

[service]
state_dir = "{folder}"
log_format = "json"

[sync]
sync_interval_s = 3
settle_window_s = 1
timeout_ms = 3000

[[wallets]]
name = "{name}"
address = "{wallet["address"]}"
signer_address = "{wallet["signer_address"]}"
signature_type = {wallet["signature_type"]}

[storage]
url = "{url}"

[statsd]
host = ""

[http]
bind = "127.0.0.1:0"
"""


def world_text(info: Mapping[str, Any]) -> str:
    """The sections that point a service at a sandbox, from what the sandbox says of itself."""
    contracts = info["contracts"]
    return f"""
[polymarket]
clob_url = "{info["clob_url"]}"
data_api_url = "{info["data_api_url"]}"
gamma_url = "{info["gamma_url"]}"
user_ws_url = "{info["user_ws_url"]}"

[polygon]
rpc_url = "{info["rpc_url"]}"
chain_id = {info["chain_id"]}
collateral = "{contracts["collateral"]}"
usdc_e = "{contracts["bridged_usdc"]}"
wrapped_collateral = "{contracts["wrapped_collateral"]}"
conditional_tokens = "{contracts["conditional_tokens"]}"
neg_risk_adapter = "{contracts["neg_risk_adapter"]}"
exchanges = ["{contracts["exchange"]}", "{contracts["neg_risk_exchange"]}"]
follow_interval_s = 1
position_contracts = ["{contracts["position_manager"]}"]
multicall = "{contracts["multicall"]}"
"""
