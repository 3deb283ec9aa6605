"""A stage for whoever watches the chain: what wallets do on Polymarket, as real transactions of a real EVM node.

ConditionalTokens is the published contract. The tokens, adapters and exchanges around it are ours
(``tests/evm/contracts``): they move the same tokens and log the same events in the same order as Polymarket's, which
``tests/evm/test_stage.py`` compares with captured receipts. ::

    wallet, market = stage.wallet(), stage.market()
    tx = wallet.split(market, 5_000_000)                  # every operation is a block, and returns its transaction hash
    stage.mine(2)
    stage.reorganise(3, again={tx: 1})                    # three other blocks; the split is now in the second of them
    wallet.balances_at(stage.head)                        # what the contracts say

All amounts are of 1e-6.
"""

from tests.evm.stage.chain import Chain
from tests.evm.stage.log import Moves, Reader
from tests.evm.stage.market import Event, Market
from tests.evm.stage.play import Stage
from tests.evm.stage.solidity import compiled
from tests.evm.stage.trading import Order, Side, Terms
from tests.evm.stage.wallet import Balances, Wallet

__all__ = [
    "Balances",
    "Chain",
    "Event",
    "Market",
    "Moves",
    "Order",
    "Reader",
    "Side",
    "Stage",
    "Terms",
    "Wallet",
    "compiled",
]
