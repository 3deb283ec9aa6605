"""From checked sections to the immutable configuration. Nothing is judged here any more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from polymarket.settings import ApiCredentials, Secret
from service.config import schema, values
from service.config.checking import findings


def build(
    file: Path | None,
    raw: schema.RawConfig,
    directory: Path,
    credentials: Mapping[str, ApiCredentials],
    token: Secret | None,
) -> values.Config:
    """The configuration in force. ``credentials`` are by wallet name; wallets without have None."""
    polygon = raw.polygon
    return values.Config(
        file=None if file is None else file.absolute(),
        service=values.ServiceConfig(
            bot_id=raw.service.bot_id,
            state_dir=directory,
            log_level=raw.service.log_level,
            log_format=raw.service.log_format,
        ),
        sync=_sync(raw.sync),
        wallets=tuple(_wallet(wallet, credentials.get(wallet.name)) for wallet in raw.wallets),
        endpoints=values.EndpointsConfig(**raw.polymarket.model_dump()),
        polygon=values.PolygonConfig(
            rpc_urls=polygon.rpc_url,
            follow_interval_ms=polygon.follow_interval_s,
            **polygon.model_dump(exclude={"rpc_url", "follow_interval_s"}),
        ),
        storage_url=raw.storage.url,
        strategies=_strategies(raw.strategies),
        statsd=values.StatsdConfig(**raw.statsd.model_dump()),
        alerts=values.AlertsConfig(**raw.alerts.model_dump()),
        http=values.HttpConfig(bind=_bind(raw.http.bind), token_file=raw.http.token_file, token=token),
        findings=findings(raw),
    )


def _sync(sync: schema.Sync) -> values.SyncConfig:
    return values.SyncConfig(
        sync_interval_ms=sync.sync_interval_s,
        discrepancy_alert_micro=sync.discrepancy_alert_usd,
        auto_pause=sync.auto_pause_strategy_on_drift,
        operator=sync.operator,
        reason=sync.reason,
        timeout_ms=sync.timeout_ms,
        max_in_flight=sync.max_in_flight,
        rpc_unavailable_policy=sync.rpc_unavailable_policy,
        adopt_unknown_orders=sync.unknown_orders == "adopt",
        settle_window_ms=sync.settle_window_s,
        pending_fill_ttl_ms=sync.pending_fill_ttl_s,
        full_audit_interval_ms=sync.full_audit_interval_s,
    )


def _wallet(wallet: schema.Wallet, credentials: ApiCredentials | None) -> values.WalletConfig:
    return values.WalletConfig(
        name=wallet.name,
        address=wallet.address,
        signer_address=wallet.signer_address or wallet.address,
        signature_type=wallet.signature_type,
        credentials=credentials,
    )


def _strategies(strategies: Mapping[str, schema.Strategy]) -> tuple[values.StrategyConfig, ...]:
    """By id, ``default`` last, whether it is configured or not."""
    named = [_strategy(name, each) for name, each in sorted(strategies.items()) if name != values.DEFAULT_STRATEGY]
    default = strategies.get(values.DEFAULT_STRATEGY, schema.Strategy())
    return (*named, _strategy(values.DEFAULT_STRATEGY, default))


def _strategy(strategy_id: str, strategy: schema.Strategy) -> values.StrategyConfig:
    return values.StrategyConfig(
        strategy_id=strategy_id, markets=tuple(dict.fromkeys(strategy.markets)), webhook=strategy.webhook
    )


def _bind(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
