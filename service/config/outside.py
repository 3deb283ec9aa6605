"""The one conversion from the configuration to what the readers of the outside world need."""

from __future__ import annotations

from collections.abc import Iterable

from polymarket import known
from polymarket.settings import PolymarketSettings, WalletSettings
from portfolio.labelling_book import TokenBook
from service.config.values import Config


def polymarket_settings(config: Config) -> PolymarketSettings:
    """Settings of the readers and their driver; RPC endpoints after the first serve the reader of logs."""
    polygon, endpoints = config.polygon, config.endpoints
    return PolymarketSettings(
        clob_url=endpoints.clob_url,
        data_api_url=endpoints.data_api_url,
        gamma_url=endpoints.gamma_url,
        user_ws_url=endpoints.user_ws_url,
        rpc_url=polygon.rpc_urls[0],
        further_rpc_urls=polygon.rpc_urls[1:],
        chain_id=polygon.chain_id,
        collateral=polygon.collateral,
        usdc_e=polygon.usdc_e,
        wrapped_collateral=polygon.wrapped_collateral,
        conditional_tokens=polygon.conditional_tokens,
        neg_risk_adapter=polygon.neg_risk_adapter,
        exchanges=polygon.exchanges,
        reward_senders=polygon.reward_senders,
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


def token_book(settings: PolymarketSettings) -> TokenBook:
    """The addresses by which the logs of a wallet are labelled; the other wallets of the configuration are ours too."""
    contracts = (
        settings.conditional_tokens,
        settings.neg_risk_adapter,
        *settings.position_contracts,
        *(address for _, address in settings.collateral_buckets),
    )
    return TokenBook(
        exchanges=_lower(settings.exchanges),
        protocol=_lower((*contracts, *known.PROTOCOL)),
        burns=_lower(known.BURNS),
        own=_lower(wallet.address for wallet in settings.wallets),
        fee_receivers=_lower(known.FEE_RECEIVERS),
        reward_senders=_lower(settings.reward_senders),
    )


def _lower(addresses: Iterable[str]) -> frozenset[str]:
    return frozenset(address.lower() for address in addresses)
