"""The one conversion from the configuration to what the readers of the outside world need."""

from __future__ import annotations

from polymarket.settings import PolymarketSettings, WalletSettings
from service.config.values import Config


def polymarket_settings(config: Config) -> PolymarketSettings:
    """Settings of the readers and their driver; the first RPC endpoint is the one that is read."""
    polygon, endpoints = config.polygon, config.endpoints
    return PolymarketSettings(
        clob_url=endpoints.clob_url,
        data_api_url=endpoints.data_api_url,
        gamma_url=endpoints.gamma_url,
        user_ws_url=endpoints.user_ws_url,
        rpc_url=polygon.rpc_urls[0],
        chain_id=polygon.chain_id,
        collateral=polygon.collateral,
        usdc_e=polygon.usdc_e,
        wrapped_collateral=polygon.wrapped_collateral,
        conditional_tokens=polygon.conditional_tokens,
        neg_risk_adapter=polygon.neg_risk_adapter,
        position_contracts=polygon.position_contracts,
        multicall=polygon.multicall,
        confirmations=polygon.confirmations,
        timeout_ms=config.sync.timeout_ms,
        max_in_flight=config.sync.max_in_flight,
        wallets=tuple(
            WalletSettings(
                name=wallet.name,
                address=wallet.address,
                signer_address=wallet.signer_address,
                signature_type=wallet.signature_type,
                credentials=wallet.credentials,
            )
            for wallet in config.wallets
        ),
    )
