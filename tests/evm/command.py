"""``portfolio-sync`` as a process of its own, with a configuration file and a database in a fresh folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.evm.exchange import API_KEY, PASSPHRASE, SECRET, QuietExchange
from tests.support.evm import EvmNode

PROGRAM = Path(__file__).parents[2] / "bin/portfolio-sync"
ENDED_WITHIN_S = 90

CONFIG = """\
[service]
state_dir = "{folder}"

[[wallets]]
name = "main"
address = "{wallet}"
signer_address = "{signer}"

[polymarket]
clob_url = "{exchange}"
data_api_url = "{exchange}"
gamma_url = "{exchange}"

[polygon]
rpc_url = "{rpc}"
chain_id = {chain_id}
collateral = "{pusd}"
usdc_e = "{usdc_e}"
wrapped_collateral = "{wrapped_collateral}"
conditional_tokens = "{conditional_tokens}"
neg_risk_adapter = "{adapter}"
confirmations = 0

[storage]
url = "sqlite:///{folder}/portfolio-sync.db"

[statsd]
host = ""
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``document`` is what it printed, None where that is no JSON."""

    code: int
    document: Any
    talk: str


class Command:
    """The command line of one wallet. ``settings`` fills :data:`CONFIG`; a test may change it between runs."""

    def __init__(self, folder: Path, node: EvmNode, exchange: QuietExchange, wallet: str) -> None:
        self._folder = folder
        self.settings: dict[str, object] = {
            "folder": folder,
            "wallet": wallet,
            "signer": node.accounts[-1],
            "exchange": exchange.url,
            "rpc": node.url,
            "chain_id": node.web3.eth.chain_id,
            "adapter": node.accounts[-2],
            **{name: node.address(name) for name in ("pusd", "usdc_e", "wrapped_collateral", "conditional_tokens")},
        }

    def run(self, *arguments: str) -> Ended:
        """Run it to its end."""
        file = self._folder / "portfolio-sync.toml"
        file.write_text(CONFIG.format(**self.settings), encoding="utf-8")
        ended = subprocess.run(
            [sys.executable, str(PROGRAM), "--config", str(file), *arguments],
            capture_output=True,
            check=False,
            text=True,
            timeout=ENDED_WITHIN_S,
            cwd=self._folder,
            env=_environment(self._folder),
        )
        try:
            document = json.loads(ended.stdout)
        except ValueError:
            document = None
        return Ended(ended.returncode, document, ended.stderr)

    def sync(self) -> dict[str, Any]:
        """``sync --json``, which has to end with a completed cycle (0, or 3 where it corrected much); its document."""
        ended = self.run("sync", "--json")
        assert ended.code in {0, 3}, ended.talk
        assert ended.document["operations_report"]["status"] == "ok", ended.document
        return dict(ended.document)

    def read(self, *arguments: str) -> list[dict[str, Any]]:
        """The rows of a read command."""
        ended = self.run(*arguments, "--json")
        assert ended.code == 0, ended.talk
        return list(ended.document)

    def positions(self) -> dict[str, int]:
        """Shares by token id, closed positions included; micro-shares."""
        return {row["token_id"]: row["shares_micro"] for row in self.read("positions", "--all")}


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours but the credentials; coverage's own variables go through."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTFOLIO_SYNC_", "XDG_"))}
    secrets = {"API_KEY": API_KEY, "API_SECRET": SECRET, "API_PASSPHRASE": PASSPHRASE}
    return kept | {"HOME": str(folder)} | {f"PORTFOLIO_SYNC_MAIN_{name}": value for name, value in secrets.items()}
