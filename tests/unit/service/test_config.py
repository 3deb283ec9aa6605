"""Configuration: every kind of mistake is named, with file and key, and all of them at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from service.config import Config, ConfigError, Problem, find_file, load, polymarket_settings, shown
from service.encoding import pretty

ADDRESS = "0x1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b"
MARKET = "0x9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c"
WALLET = f'[[wallets]]\nname = "main"\naddress = "{ADDRESS}"\n'
SECRETS = {
    "HOME": "/home/nobody",
    "PORTFOLIO_SYNC_MAIN_API_KEY": "key-of-main",
    "PORTFOLIO_SYNC_MAIN_API_SECRET": "secret-of-main",
    "PORTFOLIO_SYNC_MAIN_API_PASSPHRASE": "phrase-of-main",
}


def written(folder: Path, text: str) -> Path:
    """A configuration file with that text."""
    file = folder / "portfolio-sync.toml"
    file.write_text(text, encoding="utf-8")
    return file


def loaded(folder: Path, text: str, **environ: str) -> Config:
    """The configuration of a file with one good wallet and ``text``."""
    return load(written(folder, text + "\n" + WALLET), {**SECRETS, **environ})


def problems(folder: Path, text: str, **environ: str) -> tuple[Problem, ...]:
    """What is wrong with a file of one good wallet and ``text``."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **environ)
    return caught.value.problems


def only(found: tuple[Problem, ...]) -> Problem:
    """The one problem there is."""
    assert len(found) == 1, found
    return found[0]


@pytest.mark.req("S-10")
def test_an_empty_section_means_the_defaults_of_the_document(tmp_path: Path) -> None:
    config = loaded(tmp_path, "")
    assert config.service.bot_id == "gov.portfolio_sync"
    assert config.sync.sync_interval_ms == 30_000
    assert config.sync.discrepancy_alert_micro == 10_000_000
    assert config.sync.auto_pause
    assert (config.sync.timeout_ms, config.sync.max_in_flight) == (5000, 50)
    assert config.strategy_map == (("default", ()),)
    assert config.findings == ()


@pytest.mark.req("S-10")
@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("10", 10_000_000),
        ("10.0", 10_000_000),
        ("0.000001", 1),
        ("0.1", 100_000),
        ("499.999999", 499_999_999),
        ("0", 0),
        ("1e2", 100_000_000),
    ],
)
def test_money_is_read_to_the_base_unit(tmp_path: Path, text: str, micro: int) -> None:
    assert loaded(tmp_path, f"[sync]\ndiscrepancy_alert_usd = {text}").sync.discrepancy_alert_micro == micro


@pytest.mark.parametrize("text", ["0.0000001", "nan", "inf", '"10"', "true", "1e40"])
def test_money_that_is_no_exact_amount_is_refused(tmp_path: Path, text: str) -> None:
    problem = only(problems(tmp_path, f"[sync]\ndiscrepancy_alert_usd = {text}"))
    assert problem.key == "sync.discrepancy_alert_usd"
    assert "at most six decimals" in problem.text


@pytest.mark.req("S-10", "R-07", "S-21")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sync_interval_s", "301"),
        ("sync_interval_s", "400"),
        ("sync_interval_s", "0"),
        ("sync_interval_s", "-1"),
        ("discrepancy_alert_usd", "500.000001"),
        ("discrepancy_alert_usd", "-1"),
        ("auto_pause_strategy_on_drift", "false"),
    ],
)
def test_a_locked_value_is_refused_by_its_code(tmp_path: Path, key: str, value: str) -> None:
    problem = only(problems(tmp_path, f"[sync]\n{key} = {value}"))
    assert problem.line().startswith("ConfigError: PARAMETER_CHANGE_REQUIRES_APPROVAL: ")
    assert problem.key == f"sync.{key}"


@pytest.mark.req("R-07")
@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("sync_interval_s = 30", []),
        ("sync_interval_s = 31", ["WARN"]),
        ("sync_interval_s = 121", ["ALERT"]),
        ("sync_interval_s = 300", ["ALERT"]),
        ("discrepancy_alert_usd = 50", []),
        ("discrepancy_alert_usd = 50.1", ["WARN"]),
        ('auto_pause_strategy_on_drift = false\noperator = "alice"\nreason = "test venue"', ["ALERT"]),
    ],
)
def test_an_allowed_but_unusual_value_is_said_and_used(tmp_path: Path, text: str, levels: list[str]) -> None:
    found = [finding.level for finding in loaded(tmp_path, f"[sync]\n{text}").findings]
    assert [str(level).rpartition(".")[2] for level in found] == levels


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("[service]\nlog_levl = 'info'", "service.log_levl", "nearest known one is service.log_level"),
        ("[sync]\nsync_interval = 3", "sync.sync_interval", "nearest known one is sync.sync_interval_s"),
        ("[polygon]\nclob_url = 'x'", "polygon.clob_url", "nearest known one is polymarket.clob_url"),
        ("[snyc]\nsync_interval_s = 3", "snyc", "nearest known one is sync"),
        ("[strategies.a]\nmarket = []", "strategies.a.market", "nearest known one is strategies.a.markets"),
        ("[http]\nzzz = 1", "http.zzz", "nearest known one is http."),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path, text: str, key: str, words: str) -> None:
    problem = only(problems(tmp_path, text))
    assert (problem.place, problem.key) == (str(tmp_path / "portfolio-sync.toml"), key)
    assert words in problem.text


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("[sync]\nsync_interval_s = '30'", "sync.sync_interval_s", "a number of seconds"),
        ("[sync]\ntimeout_ms = 5000.5", "sync.timeout_ms", "a whole number"),
        ("[sync]\ntimeout_ms = true", "sync.timeout_ms", "a whole number, was true"),
        ("[sync]\ntimeout_ms = 5001", "sync.timeout_ms", "between 1 and 5000"),
        ("[sync]\nmax_in_flight = 51", "sync.max_in_flight", "between 1 and 50"),
        ("[sync]\nauto_pause_strategy_on_drift = 1", "sync.auto_pause_strategy_on_drift", "true or false"),
        ("[sync]\nrpc_unavailable_policy = 'maybe'", "sync.rpc_unavailable_policy", "'apply' or 'skip'"),
        ("[sync]\nunknown_orders = 'cancel'", "sync.unknown_orders", "'adopt' or 'alert'"),
        ("sync = 3", "sync", "a table ([sync]), was 3"),
        ("[service]\nbot_id = 7", "service.bot_id", "text in quotes"),
        ("[alerts]\nurls = 'slack://x'", "alerts.urls", "a list"),
        ("[polygon]\nconditional_tokens = '0x12'", "polygon.conditional_tokens", "40 hexadecimal digits"),
        ("[polygon]\nrpc_url = ['ftp://x']", "polygon.rpc_url", "begins with http:// or https://"),
        ("[polymarket]\nuser_ws_url = 'https://x'", "polymarket.user_ws_url", "ws:// or wss://"),
        ("[http]\nbind = '8686'", "http.bind", "HOST:PORT"),
        ("[strategies.a]\nmarkets = ['m']", "strategies.a.markets[0]", "64 hexadecimal digits"),
        ("[strategies.'a b']\nmarkets = []", "strategies.a b", "is no strategy id"),
    ],
)
def test_a_wrong_value_says_what_was_expected_and_what_was_found(
    tmp_path: Path, text: str, key: str, words: str
) -> None:
    problem = only(problems(tmp_path, text))
    assert problem.key == key
    assert words in problem.text


@pytest.mark.parametrize("address", ["", "0x", "0x12", ADDRESS[2:], ADDRESS + "0", "0x" + "g" * 40, "vitalik.eth"])
def test_a_wallet_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    file = written(tmp_path, f'[[wallets]]\nname = "main"\naddress = "{address}"')
    with pytest.raises(ConfigError) as caught:
        load(file, SECRETS)
    problem = only(caught.value.problems)
    assert problem.key == "wallets[0].address"
    assert "20 bytes" in problem.text


def test_a_wallet_needs_name_and_address_and_both_of_its_own(tmp_path: Path) -> None:
    file = written(tmp_path, f'[[wallets]]\n{WALLET}{WALLET}[[wallets]]\naddress = "no"')
    with pytest.raises(ConfigError) as caught:
        load(file, SECRETS)
    assert [problem.key for problem in caught.value.problems] == [
        "wallets[3].address",
        "wallets[0].name",
        "wallets[0].address",
        "wallets[2].name",
        "wallets[2].address",
        "wallets[3].name",
    ]


def test_a_service_without_wallets_has_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="add a \\[\\[wallets\\]\\] table"):
        load(written(tmp_path, ""), SECRETS)
    assert load(written(tmp_path, ""), SECRETS, secrets_needed=False).wallets == ()


def test_a_market_under_two_strategies_is_refused(tmp_path: Path) -> None:
    text = f'[strategies.a]\nmarkets = ["{MARKET}"]\n[strategies.b]\nmarkets = ["{MARKET.upper().replace("X", "x")}"]'
    problem = only(problems(tmp_path, text))
    assert problem.key == "strategies.b.markets"
    assert "under strategy 'a' already" in problem.text


def test_missing_secrets_are_named_each_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, WALLET), {"HOME": "/home/nobody"})
    found = caught.value.problems
    assert [problem.key for problem in found] == [
        "PORTFOLIO_SYNC_MAIN_API_KEY",
        "PORTFOLIO_SYNC_MAIN_API_SECRET",
        "PORTFOLIO_SYNC_MAIN_API_PASSPHRASE",
    ]
    assert all("_FILE" in problem.text for problem in found)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n", encoding="utf-8")
    environ = {name: value for name, value in SECRETS.items() if not name.endswith("_SECRET")}
    environ["PORTFOLIO_SYNC_MAIN_API_SECRET_FILE"] = str(secret)
    credentials = load(written(tmp_path, WALLET), environ).wallets[0].credentials
    assert credentials is not None
    assert credentials.secret.reveal() == "from-a-file"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"", "one line"), (b"two words", "one line"), (b"\xff\xfe", "holds no text")],
)
def test_a_secret_file_that_cannot_be_used_is_named_and_its_content_is_not(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    environ = {name: value for name, value in SECRETS.items() if not name.endswith("_SECRET")}
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, WALLET), {**environ, "PORTFOLIO_SYNC_MAIN_API_SECRET_FILE": str(secret)})
    problem = only(caught.value.problems)
    assert problem.key == "PORTFOLIO_SYNC_MAIN_API_SECRET_FILE"
    assert words in problem.text
    assert "two words" not in str(caught.value)


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    problem = only(problems(tmp_path, "", PORTFOLIO_SYNC_MAIN_API_KEY_FILE="/some/file"))
    assert "keep one of them" in problem.text


@pytest.mark.req("S-21")
@pytest.mark.parametrize(("key", "words"), [("api_key", "secrets come only"), ("private_key", "only reads")])
def test_a_secret_in_the_file_is_refused_and_never_shown(tmp_path: Path, key: str, words: str) -> None:
    file = written(tmp_path, f'{WALLET}{key} = "hunter2-hunter2"')
    with pytest.raises(ConfigError) as caught:
        load(file, SECRETS)
    problem = only(caught.value.problems)
    assert problem.key == f"wallets[0].{key}"
    assert words in problem.text
    assert "hunter2" not in str(caught.value)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = f"""
[sync]
sync_interval_s = 400
sync_interval = 3
timeout_ms = "5000"
[snyc]
[strategies.a]
markets = ["{MARKET}", "bad"]
[strategies.b]
markets = ["{MARKET}"]
[[wallets]]
name = "main"
address = "0x12"
"""
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), {"HOME": "/", "PORTFOLIO_SYNC__SYNC__MAX_IN_FLIGHT": "many"})
    assert {problem.key for problem in caught.value.problems} == {
        "sync.sync_interval_s",
        "sync.sync_interval",
        "sync.timeout_ms",
        "snyc",
        "strategies.a.markets[1]",
        "strategies.b.markets",
        "wallets[0].address",
        "PORTFOLIO_SYNC__SYNC__MAX_IN_FLIGHT",
        "PORTFOLIO_SYNC_MAIN_API_KEY",
        "PORTFOLIO_SYNC_MAIN_API_SECRET",
        "PORTFOLIO_SYNC_MAIN_API_PASSPHRASE",
    }
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)


def test_the_environment_sets_any_key_and_wins_over_the_file(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "[sync]\nsync_interval_s = 20",
        PORTFOLIO_SYNC__SYNC__SYNC_INTERVAL_S="12.5",
        PORTFOLIO_SYNC__SYNC__DISCREPANCY_ALERT_USD="0.1",
        PORTFOLIO_SYNC__SYNC__AUTO_PAUSE_STRATEGY_ON_DRIFT="true",
        PORTFOLIO_SYNC__POLYGON__RPC_URL="https://rpc.example/key",
        PORTFOLIO_SYNC__STRATEGIES__MAKER__MARKETS=f'["{MARKET}"]',
    )
    assert config.sync.sync_interval_ms == 12_500
    assert config.sync.discrepancy_alert_micro == 100_000
    assert config.polygon.rpc_urls == ("https://rpc.example/key",)
    assert config.strategy_map == (("maker", (MARKET,)), ("default", ()))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORTFOLIO_SYNC__SYNC__SYNC_INTERVAL", "3", "sync.sync_interval_s"),
        ("PORTFOLIO_SYNC__SNYC__X", "3", "no such section"),
        ("PORTFOLIO_SYNC__SYNC__TIMEOUT_MS", "fast", "a whole number, was 'fast'"),
        ("PORTFOLIO_SYNC__SYNC__SYNC_INTERVAL_S", "400", "at most 300 s"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, name: str, value: str, words: str) -> None:
    problem = only(problems(tmp_path, "", **{name: value}))
    assert (problem.place, problem.key) == ("environment", name)
    assert words in problem.text


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[sync", "not valid TOML"), (b"a = \xff", "is not UTF-8"), (None, "cannot be read")],
)
def test_a_file_that_cannot_be_read_at_all_says_why(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "broken.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file, SECRETS)
    assert words in only(caught.value.problems).text


def test_the_file_is_looked_for_in_the_directory_and_then_in_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "xdg" / "portfolio-sync" / "config.toml"
    users.parent.mkdir(parents=True)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert find_file(environ) is None
    users.touch()
    assert find_file(environ) == users
    written(here, "")
    assert find_file(environ) == Path("portfolio-sync.toml")


def test_a_state_directory_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    problem = only(problems(tmp_path, f'[service]\nstate_dir = "/{"d" * 100}"'))
    assert problem.key == "service.state_dir"
    assert "choose a shorter path" in problem.text


@pytest.mark.req("S-21")
def test_the_shown_configuration_has_every_key_and_no_secret(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("token-of-http", encoding="utf-8")
    config = loaded(
        tmp_path,
        f'[http]\ntoken_file = "{token}"\n'
        '[polygon]\nrpc_url = "https://user:pass@rpc.example/v2/rpc-key?k=rpc-key"\n'
        '[storage]\nurl = "postgresql://user:db-password@db.example/books?password=db-password"\n'
        '[alerts]\nurls = ["slack://channel-token/more"]\n'
        '[strategies.a]\nwebhook = "https://hook.example/hook-key"',
    )
    text = pretty(shown(config))
    hidden = ("key-of-main", "secret-of-main", "phrase-of-main", "token-of-http", "rpc-key", "pass@", "db-password")
    assert [secret for secret in (*hidden, "channel-token", "hook-key") if secret in text] == []
    assert "https://rpc.example" in text
    assert shown(config)["sync"]["discrepancy_alert_usd"] == Decimal("10.0")
    assert "-of-main" not in repr(config)


@pytest.mark.req("S-22", "X-08")
def test_the_readers_get_what_is_configured(tmp_path: Path) -> None:
    text = (
        f'[polygon]\nchain_id = 31337\nrpc_url = ["https://one.example", "https://two.example"]\nusdc_e = ""\n'
        f'exchanges = ["0x{"e1" * 20}"]\n{WALLET}'
    )
    environ = {**SECRETS, "PORTFOLIO_SYNC__SYNC__TIMEOUT_MS": "1500"}
    settings = polymarket_settings(load(written(tmp_path, text), environ))
    assert (settings.chain_id, settings.rpc_url, settings.timeout_ms) == (31337, "https://one.example", 1500)
    assert settings.rpc_urls == ("https://one.example", "https://two.example")
    assert settings.exchanges == ("0x" + "e1" * 20,)
    assert [name for name, _ in settings.collateral_buckets] == ["pusd", "wcol"]
    wallet = settings.wallet("main")
    assert (wallet.address, wallet.signer_address) == (ADDRESS, ADDRESS)
    assert wallet.credentials is not None
    assert wallet.credentials.key.reveal() == "key-of-main"
