"""Beside the sandbox's chain the service's tables come to what they come to beside real contracts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from polymarket.sandbox.process import SandboxProcess
from tests.evm.chain_operations import KINDS, OPERATIONS, Scene
from tests.evm.serving_story import told
from tests.evm.serving_suite import SHOWN, Stories
from tests.evm.stage import Stage
from tests.evm.worlds import SandboxWorld, StagedWorld, World
from tests.evm.worlds.sandboxed import OPTIONS

DEPTH = 3
CAUSES = {"REORGANISED", "POSITION_SPLIT", "POSITION_MERGED", "CONVERTED", "REDEEMED", "TRANSFER_IN", "EXTERNAL_BUY"}


def rows_of(world: World, folder: Path) -> list[list[tuple[str, ...]]]:
    """What stands in the tables behind the story of each operation, one after the other in the same world."""
    folder.mkdir()
    stories = Stories({kind: Scene.set(world, kind) for kind in KINDS}, folder)
    found = []
    with closing(stories):
        for kind, name in SHOWN:
            telling = stories.begin(kind, OPERATIONS[name], DEPTH, own=name.startswith("own"))
            telling.tell()
            found.append(told(telling.service))
    return found


@pytest.mark.req("X-01", "X-07", "L-14", "R-19", "R-20", "R-31")
def test_the_books_beside_the_sandbox_are_those_beside_real_contracts(stage: Stage, tmp_path: Path) -> None:
    with SandboxProcess(OPTIONS) as process, closing(SandboxWorld(process)) as sandbox:
        of_sandbox = rows_of(sandbox, tmp_path / "sandbox")
        fee_rates = {name: question.fee_rate for name, question in sandbox.questions.items()}
    with closing(StagedWorld(stage, fee_rates)) as staged:
        of_contracts = rows_of(staged, tmp_path / "contracts")
    assert of_sandbox == of_contracts
    assert {row[3] for rows in of_sandbox for row in rows if row[0] == "adjustments"} >= CAUSES
