"""The lock names every dependency once, pinned and hashed, and nothing about the machine that made it."""

from __future__ import annotations

import configparser
import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
# One requirement with its continuation lines, comments taken out.
BLOCKS = re.sub(r"^\s*#.*\n", "", LOCK, flags=re.MULTILINE).replace("\\\n", " ").splitlines()


def declared() -> list[Requirement]:
    """What setup.cfg asks for, extras included."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    texts = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    return [Requirement(line) for text in texts for line in text.splitlines() if line.strip()]


def pins() -> dict[str, str]:
    """Name and version of everything locked."""
    found: dict[str, str] = {}
    for block in BLOCKS:
        requirement = Requirement(block.split("--hash")[0].strip())
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", block[:80]
        found[canonicalize_name(requirement.name)] = specifier.version
    return found


def test_every_line_is_one_pinned_and_hashed_requirement() -> None:
    assert len(pins()) == len(BLOCKS)
    unhashed = [block[:80] for block in BLOCKS if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)]
    assert unhashed == []


def test_it_covers_everything_that_setup_cfg_asks_for() -> None:
    locked = pins()
    missing = [
        str(requirement)
        for requirement in declared()
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"), prereleases=True)
        or canonicalize_name(requirement.name) not in locked
    ]
    assert missing == [], "run `make lock`"


def test_it_names_no_index_no_host_and_no_folder() -> None:
    assert re.findall(r"(?m)^-.*|\w+://\S*|file:\S+|@ .*|--(?!hash=)\S+", LOCK) == []


def test_the_builder_is_locked_too_and_no_machine_learning_is() -> None:
    locked = pins()
    assert {"pip", "setuptools", "wheel"} <= locked.keys()
    assert not {"torch", "tensorflow"} & locked.keys()
