"""The catalogue of faults for the simulator fits the code, the requirements and the simulator's kinds of faults."""

from __future__ import annotations

import pytest

from service.simulation.faults import ALL, parse
from tests.mutants.planted import Planted
from tests.mutants.runner import ROOT, with_fault
from tests.mutants.simulated import SIMULATED

LEAST = 25


def names(planted: Planted) -> str:
    return planted.name


@pytest.mark.parametrize("planted", SIMULATED, ids=names)
def test_each_fault_can_be_planted_and_leaves_valid_python(planted: Planted) -> None:
    texts: dict[str, str] = {}
    for one in planted.replacements:
        before = texts.get(one.file) or (ROOT / one.file).read_text(encoding="utf-8")
        texts[one.file] = with_fault(before, one)
    for file, text in texts.items():
        compile(text, file, "exec")


@pytest.mark.parametrize("planted", SIMULATED, ids=names)
def test_each_fault_names_kinds_that_the_simulator_has(planted: Planted) -> None:
    kinds = parse(planted.faults)
    assert not planted.only or planted.only in kinds
    assert kinds <= set(ALL)
    assert planted.within > 0


@pytest.mark.req("X-03")
def test_there_are_many_faults_no_two_of_one_name_and_each_would_hurt_somebody() -> None:
    assert len({planted.name for planted in SIMULATED}) == len(SIMULATED) >= LEAST
    assert all(planted.breaks and planted.requirements for planted in SIMULATED)
