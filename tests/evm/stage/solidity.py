"""Our contracts, compiled by the locked compiler."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.evm import HOME

SOURCES = HOME / "contracts"
COMPILED_WITHIN_S = 120
SCRIPT = "process.stdout.write(require(process.argv[1]).compile(require('fs').readFileSync(0, 'utf8')))"


@dataclass(frozen=True)
class Built:
    """A contract that can be created."""

    abi: list[dict[str, Any]]
    bytecode: str


def compiled(modules: Path) -> dict[str, Built]:
    """Every contract of :data:`SOURCES` by its name. ``modules`` is where npm put the compiler; takes some seconds."""
    asked = {
        "language": "Solidity",
        "sources": {path.name: {"content": path.read_text(encoding="utf-8")} for path in sorted(SOURCES.glob("*.sol"))},
        "settings": {"outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}}},
    }
    ended = subprocess.run(
        ["node", "--eval", SCRIPT, str(modules / "solc")],
        input=json.dumps(asked),
        capture_output=True,
        check=True,
        text=True,
        timeout=COMPILED_WITHIN_S,
    )
    answer = json.loads(ended.stdout)
    complaints = [each["formattedMessage"] for each in answer.get("errors", ())]
    if complaints:
        raise RuntimeError("tests/evm/contracts did not compile cleanly: " + "\n".join(complaints))
    return {
        name: Built(contract["abi"], "0x" + contract["evm"]["bytecode"]["object"])
        for contracts in answer["contracts"].values()
        for name, contract in contracts.items()
    }
