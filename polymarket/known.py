"""Polymarket's contracts on Polygon that act for a wallet, beside those that the settings name (R-19).

They are the other side of a wallet's movements, and say by that what a movement is. Names and roles stand in the
contracts' documentation; whoever runs another chain has none of them, which leaves labels that need them unsaid.
"""

from __future__ import annotations

ADAPTERS = (
    "0xAdA100Db00Ca00073811820692005400218FcE1f",  # CtfCollateralAdapter
    "0xadA2005600Dec949baf300f4C6120000bDB6eAab",  # NegRiskCtfCollateralAdapter
    "0xADa100874d00e3331D00F2007a9c336a65009718",  # the exchanges' own, for mint and merge matches
    "0xAdA200001000ef00D07553cEE7006808F895c6F1",
)
RAMPS = (
    "0x93070a847efEf7F70739046A929D47a521F5B8ee",  # Onramp
    "0x2957922Eb93258b93368531d39fAcCA3B4dC5854",  # Offramp
    "0xebC2459Ec962869ca4c0bd1E06368272732BCb08",  # PermissionedRamp
    "0xC417fD8E9661c0d2120B64a04Bb3278C17E99DB1",  # the vault behind pUSD
)
REDEEMERS = (
    "0xa1200000d0002264C9a1698e001292D00E1b00af",  # AutoRedeemer
    "0xf3cfb6a6ebfeb51876289eb235719eb1c65252b0",  # the older operator for conditional tokens
)
BURNS = ("0xa5Ef39C3D3e10d0B270233af41CaC69796B12966",)  # where converted NO end
FEE_RECEIVERS = ("0x115F48DC2A731aA16251c6d6e1BEfC42f92Accc9",)
"""Who takes the exchanges' fees."""

PROTOCOL = (*ADAPTERS, *RAMPS, *REDEEMERS)
