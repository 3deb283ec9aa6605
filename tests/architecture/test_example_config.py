"""The example configuration shows every key with its default, so reading it is reading the truth."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from service.config import Config, load
from service.config.schema import RawConfig
from tests.architecture.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "conf/portfolio-sync.example.toml"


def test_the_example_sets_what_holds_without_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.touch()
    shown, built_in = (load(file, {}, secrets_needed=False) for file in (EXAMPLE, empty))
    assert differences(shown, built_in) == {"file"}


def differences(one: Config, other: Config) -> set[str]:
    """Names of the fields in which two configurations differ."""
    return {name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)}


def test_the_example_names_every_key_even_if_commented_out() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?(\w+) = ", text, re.MULTILINE))
    sections = RawConfig.model_json_schema()["$defs"].values()
    assert sorted({key for section in sections for key in section.get("properties", {})} - named) == []


def test_the_example_is_toml_with_its_commented_keys_too() -> None:
    lines = re.sub(r"^# (?=\w+ = |\[)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {"wallets", "strategies"} <= tomllib.loads(lines).keys()
