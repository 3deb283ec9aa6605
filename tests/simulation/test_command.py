"""The command ``simulate``: what it prints, and with which exit code."""

from __future__ import annotations

import json

import pytest

from service.cli import main
from service.simulation.findings import Finding


@pytest.mark.req("X-03")
def test_a_seed_that_passes_tells_its_digest_and_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seed", "1", "--steps", "3", "--faults", "none"]) == 0
    told = capsys.readouterr().out
    assert "passed" in told
    assert "journal digest" in told


@pytest.mark.req("X-03")
def test_several_seeds_are_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seeds", "1:3", "--steps", "2", "--faults", "crash", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["seeds"], document["failed"]) == (True, 2, [])
    assert [run["seed"] for run in document["runs"]] == [1, 2]
    assert len({run["digest"] for run in document["runs"]}) == 2


@pytest.mark.req("X-03")
def test_a_failure_names_its_seed_its_step_the_first_difference_and_the_command_that_repeats_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.simulation.convergence._cash", lambda world, seen: iter((_wrong(world, seen),)))
    assert main(["simulate", "--seed", "1", "--steps", "2", "--faults", "none"]) == 3
    captured = capsys.readouterr()
    assert "seed 1 failed at step 2" in captured.err
    assert "cash main: expected 1, was 2" in captured.err
    assert "again: portfolio-sync simulate --seed 1 --steps 2 --faults none" in captured.err
    assert "failed" in captured.out


def _wrong(_world: object, _seen: object) -> Finding:
    return Finding(rule="cash", subject="main", expected="1", found="2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name either one seed"),
        (["--seed", "1", "--seeds", "1:2"], "name either one seed"),
        (["--seeds", "3:1"], "no range such as 0:20"),
        (["--seed", "1", "--faults", "earthquake"], "--faults has no 'earthquake'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main(["simulate", *arguments]) == 2
    assert words in capsys.readouterr().err
