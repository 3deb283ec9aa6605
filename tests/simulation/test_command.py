"""The command ``simulate``: what it prints, keeps and shrinks, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from service.cli import main
from service.simulation.findings import Finding
from service.simulation.run import Options, Result
from service.simulation.workers import Workers

RULE = "service.simulation.convergence._cash"


def _wrong(_world: object, _seen: object) -> Iterator[Finding]:
    yield Finding(rule="cash", subject="main", expected="1", found="2")


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
    monkeypatch.setattr(RULE, _wrong)
    assert main(["simulate", "--seed", "1", "--steps", "4", "--faults", "lost_frames,crash", "--no-shrink"]) == 3
    captured = capsys.readouterr()
    assert "seed 1 failed at step 4" in captured.err
    assert "cash main: expected 1, was 2" in captured.err
    assert "again: portfolio-sync simulate --seed 1 --steps 4 --faults lost_frames,crash" in captured.err
    assert "failed" in captured.out
    assert "the least" not in captured.out


@pytest.mark.req("X-03")
def test_one_seed_that_fails_is_reduced_to_the_least_that_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RULE, _wrong)
    assert main(["simulate", "--seed", "1", "--steps", "4", "--faults", "lost_frames,crash"]) == 3
    assert "again: portfolio-sync simulate --seed 1 --steps 1 --faults none" in capsys.readouterr().out
    assert main(["simulate", "--seed", "1", "--steps", "1", "--faults", "none", "--only", "1"]) == 3
    assert "the least" not in capsys.readouterr().out, "it was the least"


@pytest.mark.req("X-03")
def test_of_several_seeds_the_first_that_fails_is_shrunk_where_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RULE, _wrong)
    several = ["simulate", "--seeds", "1:3", "--steps", "2", "--faults", "crash", "--json"]
    assert main(several) == 3
    assert "shrunk" not in json.loads(capsys.readouterr().out)
    assert main([*several, "--shrink"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["failed"] == [1, 2]
    assert document["shrunk"]["command"] == "portfolio-sync simulate --seed 1 --steps 1 --faults none"
    assert document["shrunk"]["minimal"] is True


@pytest.mark.req("X-03")
def test_the_story_tells_what_happened_in_the_steps_that_were_to_be_played(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["simulate", "--seed", "3", "--steps", "9", "--faults", "none", "--only", "1,5-6"]
    assert main([*wanted, "--story"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert told
    assert {int(line.split()[1]) for line in told} <= {1, 5, 6}
    assert main(wanted) == 0
    assert "step " not in capsys.readouterr().out


@pytest.mark.req("X-03", "L-20", "D-20")
def test_the_kept_journal_of_a_run_replays_to_the_digest_of_the_live_process(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    wanted = ["simulate", "--seed", "2", "--hours", "0.1", "--faults", "crash,orderly_stop", "--json"]
    assert main([*wanted, "--keep", str(folder)]) == 0
    captured = capsys.readouterr()
    (run,) = json.loads(captured.out)["runs"]
    assert run["virtual_ms"] > 300_000
    assert f"portfolio-sync replay --config {folder}/portfolio-sync.toml" in captured.err
    assert main(["replay", "--config", str(folder / "portfolio-sync.toml"), "--json"]) == 0
    replayed = json.loads(capsys.readouterr().out)
    assert (replayed["entries"], replayed["state_digest"]) == (run["journal_entries"], run["state_digest"])
    assert main([*wanted, "--keep", str(folder)]) == 2
    assert "has files" in capsys.readouterr().err


@pytest.mark.req("X-03")
def test_a_world_has_as_many_markets_as_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["simulate", "--seed", "1", "--steps", "2", "--faults", "none", "--json"]
    digests = set()
    for markets in ("6", "20"):
        assert main([*wanted, "--markets", markets]) == 0
        digests.add(json.loads(capsys.readouterr().out)["runs"][0]["digest"])
    assert len(digests) == 2


@pytest.mark.req("X-03", "D-05")
def test_several_processes_give_what_one_gives_in_the_same_order(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for jobs in ("1", "2"):
        wanted = ["simulate", "--seeds", "0:5", "--steps", "2", "--faults", "crash", "--jobs", jobs, "--json"]
        assert main(wanted) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1]


@pytest.mark.req("X-03")
def test_an_interrupt_ends_the_processes_and_tells_what_there_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Workers] = []

    def one(workers: Workers, asked: Sequence[Options]) -> Iterator[Result]:
        begun.append(workers)
        yield workers._play(asked[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(Workers, "run", one)
    assert main(["simulate", "--seeds", "0:9", "--steps", "1", "--faults", "none", "--jobs", "2"]) == 1
    captured = capsys.readouterr()
    assert "interrupted after 1 of 9 seeds" in captured.err
    assert "passed" in captured.out
    assert [worker._process.poll() is not None for worker in begun[0]._all] == [True, True]


@pytest.mark.req("X-03")
def test_an_interrupt_takes_effect_between_two_seeds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.simulation import run

    def interrupted(options: Options) -> Result:
        os.kill(os.getpid(), signal.SIGINT)
        return simulate(options)

    simulate = run.simulate
    monkeypatch.setattr(run, "simulate", interrupted)
    before = signal.getsignal(signal.SIGINT)
    assert main(["simulate", "--seeds", "0:3", "--steps", "1", "--faults", "none", "--jobs", "1"]) == 1
    assert "interrupted after 1 of 3 seeds" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name either one seed"),
        (["--seed", "1", "--seeds", "1:2"], "name either one seed"),
        (["--seeds", "3:1"], "no range such as 0:20"),
        (["--seed", "1", "--faults", "earthquake"], "--faults has no 'earthquake'"),
        (["--seed", "1", "--only", "4,x"], "--only has 'x'"),
        (["--seed", "1", "--steps", "4", "--hours", "1"], "either --steps or --hours"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main(["simulate", *arguments]) == 2
    assert words in capsys.readouterr().err
