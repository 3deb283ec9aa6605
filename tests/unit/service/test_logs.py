"""Logs: one line per event, in the configured form, without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from service.config import Config, load
from service.logs import set_up

SECRETS = {
    "HOME": "/",
    "PORTFOLIO_SYNC_MAIN_API_KEY": "the-key-of-main",
    "PORTFOLIO_SYNC_MAIN_API_SECRET": "the-secret-of-main",
    "PORTFOLIO_SYNC_MAIN_API_PASSPHRASE": "the-phrase-of-main",
}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


def config(folder: Path, level: str, form: str) -> Config:
    file = folder / "c.toml"
    file.write_text(
        f'[service]\nlog_level = "{level}"\nlog_format = "{form}"\n'
        f'[polygon]\nrpc_url = "https://rpc.example/v2/rpc-secret"\n'
        f'[[wallets]]\nname = "main"\naddress = "0x{"a1" * 20}"\n',
        encoding="utf-8",
    )
    return load(file, SECRETS)


def test_json_lines_have_time_level_and_fields(tmp_path: Path) -> None:
    out = io.StringIO()
    set_up(config(tmp_path, "info", "json"), out)
    structlog.get_logger().info("cycle", cycle_id="c1", deltas=2)
    line = json.loads(out.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {"event": "cycle", "cycle_id": "c1", "deltas": 2, "level": "info"}


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_the_level_decides_what_is_written(tmp_path: Path, level: str, count: int) -> None:
    out = io.StringIO()
    set_up(config(tmp_path, level, "json"), out)
    log = structlog.get_logger()
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert len(out.getvalue().splitlines()) == count


def test_records_of_libraries_come_out_in_the_same_form(tmp_path: Path) -> None:
    out = io.StringIO()
    set_up(config(tmp_path, "info", "json"), out)
    logging.getLogger("urllib3").warning("pool is full")
    logging.getLogger("urllib3").info("not of interest")
    line = json.loads(out.getvalue())
    assert (line["event"], line["level"]) == ("pool is full", "warning")


@pytest.mark.req("S-21")
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_reaches_a_line_by_any_way(tmp_path: Path, form: str) -> None:
    out = io.StringIO()
    settings = config(tmp_path, "info", form)
    set_up(settings, out)
    log = structlog.get_logger()
    log.info("shown", credentials=settings.wallets[0].credentials, api_key="plain-text-key")
    log.info("failed at https://rpc.example/v2/rpc-secret with the-secret-of-main")
    try:
        int("the-phrase-of-main")
    except ValueError:
        log.exception("broken", token=f"a-{'token'}")
    text = out.getvalue()
    hidden = ("plain-text-key", "rpc-secret", "the-secret-of-main", "the-phrase-of-main", "a-token", "the-key-of-main")
    assert [secret for secret in hidden if secret in text] == []
    assert "rpc.example" in text
    assert "broken" in text
