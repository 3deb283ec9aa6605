"""Worlds for the suite of the chain's logs: a wallet on a chain where only happens what a test asks for.

One is the stage of real contracts on a real node, the other the sandbox's process; ``tests/evm/chain_suite.py`` asks
the same of both. ::

    watcher = Watcher(world)                              # from here on
    world.split(question, 5_000_000)                      # every operation is a block, unless world.together()
    world.reorganise(3, again=True)
    watcher.follow()                                      # the blocks that were replaced
    watcher.check()                                       # the labels' sums are the contracts' balances, block by block

All amounts are of 1e-6.
"""

from tests.evm.worlds.base import Bargain, Question, World
from tests.evm.worlds.rows import Row
from tests.evm.worlds.sandboxed import SandboxWorld
from tests.evm.worlds.staged import StagedWorld
from tests.evm.worlds.watching import Watcher

__all__ = ["Bargain", "Question", "Row", "SandboxWorld", "StagedWorld", "Watcher", "World"]
