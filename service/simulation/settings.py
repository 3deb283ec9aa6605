"""The configuration of a simulated service: a file in its folder, read as production reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.config import Config, load
from service.config.credentials import PARTS, prefix_of
from service.simulation.nodes import SECOND_RPC, Nodes

WALLET = "main"
FILE = "portfolio-sync.toml"
DATABASE = "books.db"
FOLLOW_S = 4
FILL_TTL_S = 60
"""A minute, not a quarter of an hour: what becomes of a fill whose end nobody shows has to be seen (R-10)."""

_OURS = "PORTFOLIO_SYNC_"

Section = dict[str, Any]


class Settings:
    """The file and the secrets. ``changes`` are sections laid over the first ones by reloads."""

    def __init__(self, folder: Path, venue: Nodes, interval_s: int) -> None:
        """Of a service against the venue, with the defaults of production wherever it can have them."""
        self.file = folder / FILE
        self.url = f"sqlite:///{folder / DATABASE}"
        self.lock_file = folder / f"{DATABASE}.lock"
        self._sections = _sections(folder, venue, interval_s)
        wallet = venue.sandbox.describe()["wallet"]
        self._secrets = {f"{prefix_of(WALLET)}_{part}": wallet[part.lower()] for part in PARTS}
        self.write({})

    def write(self, changes: Mapping[str, Section]) -> None:
        """Write the file, with some keys changed."""
        known = {
            name: {**self._sections.get(name, {}), **changes.get(name, {})} for name in {**self._sections, **changes}
        }
        self.file.write_text(_toml(known), encoding="utf-8")

    def load(self) -> Config:
        """What a start of the process finds. Raises ConfigError."""
        return load(self.file, self._secrets)

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Within the block the environment is the simulated process's: what the user's own sets is not seen."""
        hidden = {name: value for name, value in os.environ.items() if name.upper().startswith(_OURS)}
        for name in hidden:
            del os.environ[name]
        os.environ.update(self._secrets)
        try:
            yield
        finally:
            for name in self._secrets:
                del os.environ[name]
            os.environ.update(hidden)


def _sections(folder: Path, venue: Nodes, interval_s: int) -> dict[str, Section]:
    info = venue.sandbox.describe()
    contracts, wallet = info["contracts"], info["wallet"]
    urls = [info["rpc_url"], info["rpc_url"].removesuffix("rpc") + SECOND_RPC]
    return {
        "service": {"state_dir": str(folder)},
        "sync": {"sync_interval_s": interval_s, "settle_window_s": interval_s, "pending_fill_ttl_s": FILL_TTL_S},
        "wallets": {
            "name": WALLET,
            **{name: wallet[name] for name in ("address", "signer_address", "signature_type")},
        },
        "polymarket": {name: info[name] for name in ("clob_url", "data_api_url", "gamma_url", "user_ws_url")},
        "polygon": {
            "rpc_url": urls[: venue.endpoints],
            "chain_id": info["chain_id"],
            "collateral": contracts["collateral"],
            "usdc_e": contracts["bridged_usdc"],
            "wrapped_collateral": contracts["wrapped_collateral"],
            "conditional_tokens": contracts["conditional_tokens"],
            "neg_risk_adapter": contracts["neg_risk_adapter"],
            "exchanges": [contracts[name] for name in ("exchange", "neg_risk_exchange", "exchange_v3")],
            "position_contracts": [contracts["position_manager"]],
            "multicall": contracts["multicall"],
            "follow_interval_s": FOLLOW_S,
        },
        "storage": {"url": f"sqlite:///{folder / DATABASE}"},
        "statsd": {"host": ""},
        "http": {"bind": ""},
    }


def _toml(sections: Mapping[str, Section]) -> str:
    """A JSON text, number or list of them is one of TOML too."""
    lines = []
    for name, keys in sections.items():
        lines.append(f"[[{name}]]" if name == "wallets" else f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        lines.append("")
    return "\n".join(lines)
