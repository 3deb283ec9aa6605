import pytest
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.faults import FaultSpec
from tests.support.live import *
from tests.system.following import Following, BLOCK_MS

@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    w=WorldOptions(seed=61, block_time_ms=BLOCK_MS, finality_blocks=2, activity=True, retry_percent=10, fail_percent=10)
    with SandboxProcess(w) as s:
        s.control.pause()
        with LiveService(tmp_path_factory.mktemp("stream"), s.info, LiveSettings(sync_interval_s=300)) as v:
            v.ready()
            yield Following(s,v)
            print(v.log_tail())

def test_none(stage):
    for m in range(9):
        stage.burst(m); stage.blocks(12)
    stage.agree()

@pytest.mark.parametrize("kind", ["ws_double","ws_reorder","ws_delay","ws_garbage","ws_drop","ws_freeze","ws_close"])
def test_faults(stage, kind):
    stage.control.clear_faults()
    with stage.control.playing(FaultSpec(target="ws",kind=kind,latency_ms=300)) as p:
        stage.burst(1); stage.blocks(8); stage.burst(2); stage.blocks(8)
        print(kind, stage.control.hits(p))
    stage.agree()
