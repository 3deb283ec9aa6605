"""The service beside the stage's real contracts, and what only these can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.evm.chain_suite import DEPTHS
from tests.evm.serving_suite import ServiceContract, Stories
from tests.evm.stage import Stage
from tests.evm.test_chain_suite import ONLY_HERE
from tests.evm.worlds import StagedWorld


@pytest.fixture(scope="module")
def world(stage: Stage) -> Iterator[StagedWorld]:
    with closing(StagedWorld(stage)) as world:
        yield world


class TestStagedService(ServiceContract):
    @pytest.mark.parametrize("depth", DEPTHS)
    def test_a_batch_with_a_zero_is_booked_undone_and_booked_again(self, stories: Stories, depth: int) -> None:
        operation = ONLY_HERE["batch_with_zero"]
        stories.begin(operation.kinds[0], operation, depth).tell()

    @pytest.mark.parametrize("name", sorted(ONLY_HERE.keys() - {"batch_with_zero"}))
    def test_what_only_real_contracts_do_is_booked_undone_and_booked_again(self, stories: Stories, name: str) -> None:
        operation = ONLY_HERE[name]
        stories.begin(operation.kinds[-1], operation, 3).tell()
