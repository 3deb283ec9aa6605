"""The configuration for people: every key with its value in force, in the file's own names, and no secret."""

from __future__ import annotations

import urllib.parse
from decimal import Decimal
from typing import Any

from portfolio.units import micro_to_number
from service.config.values import Config, StrategyConfig, WalletConfig

HIDDEN = "***"


def hide_url(url: str) -> str:
    """Scheme, user-less host and port; paths and queries of RPC endpoints, webhooks and channels hold keys."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return HIDDEN
    more = HIDDEN if parts.path.strip("/") or parts.query or parts.username or parts.password else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}" + (f"/{more}" if more else "")


def hide_database(url: str) -> str:
    """A database URL without user, password and parameters."""
    if url.startswith("sqlite:"):
        return url
    parts = urllib.parse.urlsplit(url)
    who = f"{HIDDEN}@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{who}{parts.netloc.rpartition('@')[2]}{parts.path}" + (
        f"?{HIDDEN}" if parts.query else ""
    )


def _hide_channel(url: str) -> str:
    """Only the scheme: many channels have their token where a URL has its host."""
    return f"{url.partition('://')[0]}://{HIDDEN}"


def shown(config: Config) -> dict[str, Any]:
    """The configuration as JSON-ready data, keys as in the file. Amounts are exact decimals, durations seconds."""
    polygon = config.polygon
    return {
        "file": None if config.file is None else str(config.file),
        "service": {
            "bot_id": config.service.bot_id,
            "state_dir": str(config.service.state_dir),
            "log_level": config.service.log_level,
            "log_format": config.service.log_format,
        },
        "sync": _sync(config),
        "wallets": [_wallet(wallet) for wallet in config.wallets],
        "polymarket": {
            "clob_url": config.endpoints.clob_url,
            "data_api_url": config.endpoints.data_api_url,
            "gamma_url": config.endpoints.gamma_url,
            "user_ws_url": config.endpoints.user_ws_url,
        },
        "polygon": {
            "rpc_url": [hide_url(url) for url in polygon.rpc_urls],
            "chain_id": polygon.chain_id,
            "collateral": polygon.collateral,
            "usdc_e": polygon.usdc_e,
            "wrapped_collateral": polygon.wrapped_collateral,
            "conditional_tokens": polygon.conditional_tokens,
            "neg_risk_adapter": polygon.neg_risk_adapter,
            "exchanges": list(polygon.exchanges),
            "reward_senders": list(polygon.reward_senders),
            "position_contracts": list(polygon.position_contracts),
            "multicall": polygon.multicall,
            "confirmations": polygon.confirmations,
            "follow_interval_s": _seconds(polygon.follow_interval_ms),
        },
        "storage": {"url": hide_database(config.storage_url)},
        "strategies": {each.strategy_id: _strategy(each) for each in config.strategies},
        "statsd": {"host": config.statsd.host, "port": config.statsd.port, "prefix": config.statsd.prefix},
        "alerts": {"urls": [_hide_channel(url) for url in config.alerts.urls], "on_call": config.alerts.on_call},
        "http": _http(config),
    }


def _sync(config: Config) -> dict[str, Any]:
    sync = config.sync
    return {
        "sync_interval_s": _seconds(sync.sync_interval_ms),
        "discrepancy_alert_usd": micro_to_number(sync.discrepancy_alert_micro),
        "auto_pause_strategy_on_drift": sync.auto_pause,
        "operator": sync.operator,
        "reason": sync.reason,
        "timeout_ms": sync.timeout_ms,
        "max_in_flight": sync.max_in_flight,
        "rpc_unavailable_policy": sync.rpc_unavailable_policy,
        "unknown_orders": "adopt" if sync.adopt_unknown_orders else "alert",
        "settle_window_s": _seconds(sync.settle_window_ms),
        "pending_fill_ttl_s": _seconds(sync.pending_fill_ttl_ms),
        "full_audit_interval_s": _seconds(sync.full_audit_interval_ms),
    }


def _wallet(wallet: WalletConfig) -> dict[str, Any]:
    return {
        "name": wallet.name,
        "address": wallet.address,
        "signer_address": wallet.signer_address,
        "signature_type": wallet.signature_type,
        "credentials": "set" if wallet.credentials is not None else "not read",
    }


def _strategy(strategy: StrategyConfig) -> dict[str, Any]:
    return {"markets": list(strategy.markets), "webhook": hide_url(strategy.webhook) if strategy.webhook else ""}


def _http(config: Config) -> dict[str, Any]:
    http = config.http
    return {
        "bind": "" if http.bind is None else f"{http.bind[0]}:{http.bind[1]}",
        "token_file": None if http.token_file is None else str(http.token_file),
    }


def _seconds(milliseconds: int) -> int | Decimal:
    return milliseconds // 1000 if milliseconds % 1000 == 0 else Decimal(milliseconds) / 1000
