"""The configuration in force, as one immutable value. Durations are ms, amounts integers of 1e-6."""

from __future__ import annotations

from pathlib import Path

import msgspec

from polymarket.settings import ApiCredentials, Secret
from portfolio.thresholds import ParameterFinding

DEFAULT_STRATEGY = "default"
"""The strategy of every market that no other strategy names (D-25)."""


class ServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``state_dir`` is absolute and holds the control socket."""

    bot_id: str
    state_dir: Path
    log_level: str
    log_format: str

    @property
    def control_socket(self) -> Path:
        """Where the running process listens for commands (D-22)."""
        return self.state_dir / "control.sock"


class SyncConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The cycle. ``operator`` and ``reason`` answer for ``auto_pause`` being off (R-07)."""

    sync_interval_ms: int
    discrepancy_alert_micro: int
    auto_pause: bool
    operator: str
    reason: str
    timeout_ms: int
    max_in_flight: int
    rpc_unavailable_policy: str
    adopt_unknown_orders: bool
    settle_window_ms: int
    pending_fill_ttl_ms: int
    full_audit_interval_ms: int


class WalletConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``address`` holds the tokens, ``signer_address`` owns the API key. ``credentials`` None: none were needed."""

    name: str
    address: str
    signer_address: str
    signature_type: int
    credentials: ApiCredentials | None


class EndpointsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Polymarket's hosts."""

    clob_url: str
    data_api_url: str
    gamma_url: str
    user_ws_url: str


class PolygonConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The chain. ``confirmations`` None: the ``finalized`` block where the RPC has it (R-31).

    ``follow_interval_ms`` is the time between two looks at the chain's head while no cycle asks for one.
    """

    rpc_urls: tuple[str, ...]
    chain_id: int
    collateral: str
    usdc_e: str
    wrapped_collateral: str
    conditional_tokens: str
    neg_risk_adapter: str
    exchanges: tuple[str, ...]
    reward_senders: tuple[str, ...]
    position_contracts: tuple[str, ...]
    multicall: str
    confirmations: int | None
    follow_interval_ms: int


class StrategyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy and the condition or neg-risk ids it trades, lower-case."""

    strategy_id: str
    markets: tuple[str, ...]
    webhook: str


class StatsdConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An empty ``host`` sends no metrics."""

    host: str
    port: int
    prefix: str


class AlertsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Apprise URLs, which hold tokens."""

    urls: tuple[str, ...]
    on_call: str


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``bind`` is (host, port), None for no TCP server. ``token`` None: no state changes over TCP."""

    bind: tuple[str, int] | None
    token_file: Path | None
    token: Secret | None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. ``findings`` are what the parameters deserve to be said at start: warnings and alerts (R-07).

    ``file`` None: built-in defaults and the environment alone. ``strategies`` always ends with ``default``.
    """

    file: Path | None
    service: ServiceConfig
    sync: SyncConfig
    wallets: tuple[WalletConfig, ...]
    endpoints: EndpointsConfig
    polygon: PolygonConfig
    storage_url: str
    strategies: tuple[StrategyConfig, ...]
    statsd: StatsdConfig
    alerts: AlertsConfig
    http: HttpConfig
    findings: tuple[ParameterFinding, ...]

    @property
    def strategy_map(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(strategy id, market ids), as the gate takes it."""
        return tuple((strategy.strategy_id, strategy.markets) for strategy in self.strategies)
