"""Configuration: read from TOML and the environment, judged as a whole, kept as one immutable value.

``load`` gives a :class:`Config` or raises a :class:`ConfigError` that names every problem at once, with file and key.
The steps: ``schema`` (which keys there are, and their types), ``reading`` (files and environment), ``checking`` (what
spans several keys, locked values), ``credentials``, ``loading`` (the order of it all), ``showing`` (without secrets).
"""

from __future__ import annotations

from service.config.loading import find_file, load
from service.config.outside import polymarket_settings, token_book
from service.config.problems import ConfigError, Problem
from service.config.showing import shown
from service.config.values import Config, StrategyConfig, WalletConfig

__all__ = [
    "Config",
    "ConfigError",
    "Problem",
    "StrategyConfig",
    "WalletConfig",
    "find_file",
    "load",
    "polymarket_settings",
    "shown",
    "token_book",
]
