"""The real command against real contracts on an EVM node: balances to the base unit.

Needs npm, which sets up the node on first use (``tests.support.evm``). Without it these tests do not run and say so;
with ``PORTFOLIO_SYNC_REQUIRE_EVM=1`` they fail.
"""

import pytest

# What is asserted there is shown with its values, as in tests.
pytest.register_assert_rewrite("tests.evm.chain_suite", "tests.evm.worlds")
