"""Who pays rewards is configuration: checked as every address is, and known to the labels of logs (X-10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.config import Config, ConfigError, load, polymarket_settings, shown, token_book


def configured(folder: Path, polygon: str = "") -> Config:
    file = folder / "portfolio-sync.toml"
    file.write_text(f"[polygon]\n{polygon}\n", encoding="utf-8")
    return load(file, {"HOME": "/home/nobody"}, secrets_needed=False)


@pytest.mark.req("X-10", "S-22")
def test_labels_know_who_pays_rewards_whatever_the_case_of_its_address(tmp_path: Path) -> None:
    one, other = "0x" + "Ab" * 20, "0x" + "cd" * 20
    config = configured(tmp_path, f'reward_senders = ["{one}", "{other}"]')
    assert token_book(polymarket_settings(config)).reward_senders == {one.lower(), other}
    assert shown(config)["polygon"]["reward_senders"] == [one, other]
    assert token_book(polymarket_settings(configured(tmp_path))).reward_senders == frozenset()


@pytest.mark.req("S-10", "X-10")
def test_a_reward_sender_that_is_no_address_is_refused_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, f'reward_senders = ["0x{"ab" * 20}", "polymarket"]')
    (problem,) = caught.value.problems
    assert problem.key == "polygon.reward_senders[1]"
    assert "polymarket" in problem.text
