"""What an ordinary cycle asks of the RPC endpoint: as much with one market as with many."""

from __future__ import annotations

import pytest

from benchmarks.chain_steady import Asked, asked

CYCLES = 2


@pytest.mark.req("X-01", "D-28", "S-25")
@pytest.mark.parametrize("tokens", [2, 500])
def test_a_cycle_asks_once_for_logs_and_once_for_all_balances_however_many_tokens_there_are(tokens: int) -> None:
    assert asked(tokens, CYCLES) == Asked(requests=4, logs=1, multicalls=1, headers=2)
