"""``replay --snapshot`` and ``verify`` over stored snapshots (L-20, X-12)."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli import main
from service.replay import rebuild
from service.replaying import replay
from service.snapshots_checked import replay_from
from service.verify import verify
from tests.replay.stories import config_file, config_of, keeper_of, spoil
from tests.support.system import WALLET, Harness

pytestmark = pytest.mark.req("L-20", "X-12", "D-23")


def test_replay_from_each_snapshot_gives_the_digest_of_the_whole(told: Harness, tmp_path: Path) -> None:
    config = config_of(told, tmp_path)
    entries, keeper = told.journal(), keeper_of(told)
    for number in (5, 12, len(entries)):
        keeper.store(rebuild(WALLET, entries[:number]))
    document = replay_from(config, "all")
    assert {**document, "snapshots": ()} == {**replay(config), "snapshots": ()}
    assert [(one["seq"], one["entries"], one["equal"]) for one in document["snapshots"]] == [
        (5, len(entries) - 5, True),
        (12, len(entries) - 12, True),
        (len(entries), 0, True),
    ]
    assert {one["state_digest"] for one in document["snapshots"]} == {document["state_digest"]}
    assert [one["seq"] for one in replay_from(config, "newest")["snapshots"]] == [len(entries)]
    earlier = replay_from(config, "12", until=15)
    assert earlier["snapshots"][0]["state_digest"] == replay(config, 15)["state_digest"]
    assert [(one["seq"], one["sound"]) for one in verify(config)["snapshots"]] == [
        (5, True), (12, True), (len(entries), True)]  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()  # what the story logged
    assert main([str(argument) for argument in arguments]) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_the_command_shows_where_each_snapshot_leads(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    where = ("--config", config_file(told, tmp_path), "--wide")
    _, err = run(capsys, "replay", "--snapshot", "all", *where)
    assert "no snapshot was made yet" in err
    keeper_of(told).store(rebuild(WALLET, told.journal()[:12]))
    out, err = run(capsys, "replay", "--snapshot", "12", *where)
    assert (out.count(replay(config_of(told, tmp_path))["state_digest"]), err) == (2, "")
    spoil(told, "UPDATE _snapshots SET digest = ''")
    out, err = run(capsys, "replay", "--snapshot", "newest", *where, code=3)
    assert "error: snapshot of entry 12: it was changed since it was written" in err
    out, err = run(capsys, "verify", "--config", config_file(told, tmp_path), code=3)
    assert "error: snapshot of entry 12: it was changed since it was written" in err
    (line,) = (line for line in out.splitlines() if line.startswith("snapshots"))
    assert line.rstrip().endswith("1 wrong")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("13",), 1, "there is no snapshot of entry 13; there are: 12"),
        (("oldest",), 2, "expected the number of an entry, newest or all"),
        (("newest", "--journal", "x.jsonl"), 2, "an exported journal has no snapshots"),
        (("newest", "--without", "3"), 2, "ask one at a time"),
    ],
)
def test_what_cannot_be_answered_is_said(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    keeper_of(told).store(rebuild(WALLET, told.journal()[:12]))
    where = ("--config", config_file(told, tmp_path))
    _, err = run(capsys, "replay", "--snapshot", *arguments, *where, code=code)
    assert says in err
