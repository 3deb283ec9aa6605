"""What ``status`` tells of several RPC endpoints: whether they have the block that a cycle compared at (X-14, R-31)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest

from messages.reads import AgreementAnswer, Answer, Read
from service.bootstrap import running
from service.cli import main
from service.config import load
from service.http import Servers
from service.logs import set_up
from service.process import Process
from tests.integration.service.books import decoded
from tests.integration.service.test_stream_shown import ENVIRONMENT, HandClock, Stage
from tests.support.venue import Venue

ENDPOINTS = '[polygon]\nrpc_url = ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b", "http://127.0.0.1:9/c"]\n'


class Polled(Venue):
    """A world whose endpoints say of the pinned block what a test wants."""

    told: dict[str, Any]

    def _answer(self, read: Read) -> Answer:
        answer = super()._answer(read)
        return msgspec.structs.replace(answer, **self.told) if isinstance(answer, AgreementAnswer) else answer


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    clock = HandClock()
    monkeypatch.setattr("service.wiring.SystemClock", lambda: clock)
    made = Stage(tmp_path, clock)
    set_up(made.config, io.StringIO())
    return made


def several(stage: Stage, **told: Any) -> None:
    """Three endpoints are configured; this is what they say."""
    venue = Polled(clock=stage.clock)
    venue.add_market("0xa")
    venue.told = {"endpoints": 3, **told}
    stage.venue = venue
    stage.file.write_text(stage.file.read_text(encoding="utf-8") + ENDPOINTS, encoding="utf-8")
    stage.config = load(stage.file, ENVIRONMENT)


def chain_shown(process: Process) -> tuple[bool | None, str]:
    """After a cycle, whether the chain is up, and the detail beside that."""
    process.force_sync()
    (source,) = (source for source in process.sources() if source.name == "chain")
    return source.up, source.detail


@pytest.mark.req("X-14", "R-31")
def test_with_one_endpoint_agreement_is_waived_and_shown_as_such(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(stage.config, stage.outside(), begin=False) as process:
        servers = Servers(process, stage.config)
        servers.start()
        assert chain_shown(process) == (True, "agreement waived: one endpoint")
        assert main(["status", "--config", str(stage.file), "--json"]) == 0
        source = decoded(capsys.readouterr().out)["sources"]["chain"]
        assert (source["up"], source["detail"]) == (True, "agreement waived: one endpoint")
        assert main(["status", "--config", str(stage.file)]) == 0
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert "source chain up agreement waived: one endpoint" in lines
        servers.stop()


@pytest.mark.req("X-14", "R-31")
def test_where_two_of_several_agree_the_block_is_named(stage: Stage) -> None:
    several(stage, agreeing=(1, 3), silent=((2, "no answer"),))
    with running(stage.config, stage.outside(), begin=False) as process:
        up, detail = chain_shown(process)
    assert up
    assert detail == f"at least two of 3 endpoints agreed on block {stage.venue.block_number}"


@pytest.mark.req("X-14", "R-31")
def test_where_only_one_speaks_its_silent_neighbours_are_named_and_nothing_is_final(stage: Stage) -> None:
    several(stage, agreeing=(1,), silent=((2, "no answer"), (3, "it does not have the block")))
    with running(stage.config, stage.outside(), begin=False) as process:
        up, detail = chain_shown(process)
    assert up
    assert detail.startswith("chain.agreement: endpoint 2: no answer; endpoint 3: it does not have the block")
    assert detail.endswith("nothing is taken for final")


@pytest.mark.req("X-14", "R-31", "S-12")
def test_endpoints_that_contradict_each_other_make_the_chain_unavailable(stage: Stage) -> None:
    several(stage, agreeing=(1, 3), differing=((2, "its block was 0xfork"),))
    with running(stage.config, stage.outside(), begin=False) as process:
        up, detail = chain_shown(process)
    assert not up
    assert detail.startswith("chain.agreement: block ")
    assert "endpoint 2: its block was 0xfork" in detail
