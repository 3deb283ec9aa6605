"""The sections and keys of the configuration file, with their types and defaults. One class per section.

Every key has a default here, so that a file with a mistake can be judged further without it; what must be given is
checked in ``checking``. The names are those of the file; durations in seconds are held in ms, amounts in 1e-6.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from polymarket.settings import PolymarketSettings
from portfolio import thresholds
from service.config.fields import (
    Address,
    Bind,
    ConditionId,
    FilePath,
    FilledText,
    Flag,
    HttpUrl,
    Integer,
    Micro,
    Milliseconds,
    Name,
    OptionalAddress,
    OptionalUrl,
    Text,
    Urls,
    WsUrl,
    invalid,
)

_DEFAULTS = PolymarketSettings()


def between(lowest: int, highest: int) -> AfterValidator:
    """Bounds of an integer key, both included."""

    def check(value: int) -> int:
        if not lowest <= value <= highest:
            raise invalid(f"between {lowest} and {highest}", value)
        return value

    return AfterValidator(check)


def _positive_ms(value: int) -> int:
    if value <= 0:
        raise invalid("above 0 seconds", f"{value / 1000:g} seconds")
    return value


PositiveMs = Annotated[Milliseconds, AfterValidator(_positive_ms)]


class Section(BaseModel):
    """A table of the file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(Section):
    """``[service]``: who we are and where our own files lie."""

    bot_id: FilledText = "gov.portfolio_sync"
    state_dir: FilePath | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"


class Sync(Section):
    """``[sync]``: the cycle and its thresholds. ``operator`` and ``reason`` answer for a switched-off auto-pause."""

    sync_interval_s: Milliseconds = thresholds.DEFAULT_INTERVAL_S * 1000
    discrepancy_alert_usd: Micro = thresholds.DEFAULT_ALERT_MICRO
    auto_pause_strategy_on_drift: Flag = True
    operator: Text = ""
    reason: Text = ""
    timeout_ms: Annotated[Integer, between(1, 5000)] = 5000
    max_in_flight: Annotated[Integer, between(1, 50)] = 50
    rpc_unavailable_policy: Literal["apply", "skip"] = "apply"
    unknown_orders: Literal["adopt", "alert"] = "adopt"
    settle_window_s: PositiveMs = 30_000
    pending_fill_ttl_s: PositiveMs = 900_000
    full_audit_interval_s: PositiveMs = 3_600_000


class Wallet(Section):
    """``[[wallets]]``: a wallet; its API credentials are secrets and never stand here."""

    name: Name = ""
    address: Address = ""
    signer_address: OptionalAddress = ""
    signature_type: Annotated[Integer, between(0, 3)] = 0


class Polymarket(Section):
    """``[polymarket]``: its HTTP services."""

    clob_url: HttpUrl = _DEFAULTS.clob_url
    data_api_url: HttpUrl = _DEFAULTS.data_api_url
    gamma_url: HttpUrl = _DEFAULTS.gamma_url
    user_ws_url: WsUrl = "wss://ws-subscriptions-clob.polymarket.com/ws/user"


class Polygon(Section):
    """``[polygon]``: the chain and its contracts. An empty collateral address leaves that bucket out."""

    rpc_url: Urls = (_DEFAULTS.rpc_url,)
    chain_id: Annotated[Integer, between(1, 2**63 - 1)] = _DEFAULTS.chain_id
    collateral: OptionalAddress = _DEFAULTS.collateral
    usdc_e: OptionalAddress = _DEFAULTS.usdc_e
    wrapped_collateral: OptionalAddress = _DEFAULTS.wrapped_collateral
    conditional_tokens: Address = _DEFAULTS.conditional_tokens
    neg_risk_adapter: Address = _DEFAULTS.neg_risk_adapter
    exchanges: tuple[Address, ...] = _DEFAULTS.exchanges
    reward_senders: tuple[Address, ...] = _DEFAULTS.reward_senders
    position_contracts: tuple[Address, ...] = _DEFAULTS.position_contracts
    multicall: Address = _DEFAULTS.multicall
    confirmations: Annotated[Integer, between(0, 10_000)] | None = None
    follow_interval_s: PositiveMs = 5_000


class Storage(Section):
    """``[storage]``: the database; the URL may hold a password."""

    url: FilledText = "sqlite:///portfolio-sync.db"


class Strategy(Section):
    """``[strategies.ID]``: the markets of a strategy, by condition id or neg-risk market id."""

    markets: tuple[ConditionId, ...] = ()
    webhook: OptionalUrl = ""


class Statsd(Section):
    """``[statsd]``: where metrics go; an empty host sends none."""

    host: Text = "127.0.0.1"
    port: Annotated[Integer, between(1, 65535)] = 8125
    prefix: Text = ""


class Alerts(Section):
    """``[alerts]``: channels as Apprise URLs, which hold their tokens."""

    urls: tuple[FilledText, ...] = ()
    on_call: Text = ""


class Http(Section):
    """``[http]``: the read API; an empty ``bind`` offers none. State changes need the token in ``token_file``."""

    bind: Bind = "127.0.0.1:8686"
    token_file: FilePath | None = None


class RawConfig(BaseSettings):
    """The whole file."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="PORTFOLIO_SYNC__",
        env_nested_delimiter="__",
        case_sensitive=False,
    )

    service: Service = Service()
    sync: Sync = Sync()
    wallets: tuple[Wallet, ...] = ()
    polymarket: Polymarket = Polymarket()
    polygon: Polygon = Polygon()
    storage: Storage = Storage()
    strategies: dict[str, Strategy] = Field(default_factory=dict)
    statsd: Statsd = Statsd()
    alerts: Alerts = Alerts()
    http: Http = Http()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_other: Any, **_more: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: ``reading`` merges file and environment, to know where each value is from."""
        del settings_cls
        return (init_settings,)


def state_dir(raw: RawConfig, environ: dict[str, str]) -> Path:
    """Where our own files lie: as configured, else below ``$XDG_STATE_HOME``."""
    if raw.service.state_dir is not None:
        return raw.service.state_dir.absolute()
    base = environ.get("XDG_STATE_HOME", "")
    home = Path(base) if base.startswith("/") else Path(environ.get("HOME", "~")).expanduser() / ".local" / "state"
    return home / "portfolio-sync"
