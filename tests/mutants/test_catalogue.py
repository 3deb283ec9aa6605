"""The catalogue of faults fits the code: whoever changes a line that a fault replaces learns it here."""

from __future__ import annotations

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.runner import ROOT, CannotPlant, with_fault


def names(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=names)
def test_each_fault_can_be_planted_and_leaves_valid_python(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    compile(with_fault(text, mutant), mutant.file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=names)
def test_each_fault_names_a_test_that_is_there(mutant: Mutant) -> None:
    file, *path = mutant.test.split("::")
    where = ROOT / file
    assert where.is_file()
    sources = [where, *where.parent.glob("contract*.py")]
    assert any(f"def {path[-1]}(" in source.read_text(encoding="utf-8") for source in sources)


def test_a_fault_that_does_not_fit_the_code_is_said_and_not_planted() -> None:
    with pytest.raises(CannotPlant, match="0 times, expected once"):
        with_fault("", MUTANTS[0])
    with pytest.raises(CannotPlant, match="2 times, expected once"):
        with_fault(MUTANTS[0].old * 2, MUTANTS[0])
