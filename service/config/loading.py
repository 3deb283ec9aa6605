"""The order of it all: find the file, merge, validate, check, take the secrets; a Config, or every problem at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from polymarket.settings import ApiCredentials, Secret
from service.config import values
from service.config.building import build
from service.config.checking import check
from service.config.credentials import credentials_of, read_secret
from service.config.problems import ConfigError, Problem
from service.config.reading import Merged, candidates, read
from service.config.schema import RawConfig, state_dir
from service.config.validating import validate


def find_file(environ: Mapping[str, str] | None = None) -> Path | None:
    """The file that is read when none is named: the directory's, then the user's; None where there is none."""
    known = candidates(os.environ if environ is None else environ)
    return next((file for file in known if file.is_file()), None)


def load(
    file: Path | None = None, environ: Mapping[str, str] | None = None, *, secrets_needed: bool = True
) -> values.Config:
    """The configuration from ``file`` (else the found one, else defaults) and the environment.

    Commands that only read the stored state pass ``secrets_needed=False`` and need neither wallets nor credentials.

    Raises:
        ConfigError: with every problem; nothing is in force then.

    """
    environment = dict(os.environ if environ is None else environ)
    merged = read(file if file is not None else find_file(environment), environment)
    if merged.unreadable:
        raise ConfigError(merged.problems)
    raw, wrong, taken_out = validate(merged)
    directory = state_dir(raw, environment)
    token, token_problems = _token(raw, merged)
    credentials, secret_problems = _credentials(raw, environment, merged) if secrets_needed else ({}, [])
    problems = [
        *merged.problems,
        *wrong,
        *check(raw, merged, taken_out, directory),
        *token_problems,
        *secret_problems,
    ]
    if problems:
        raise ConfigError(problems)
    return build(merged.file, raw, directory, credentials, token)


def _token(raw: RawConfig, merged: Merged) -> tuple[Secret | None, list[Problem]]:
    if raw.http.token_file is None:
        return None, []
    place, key = merged.place_of(("http", "token_file"))
    secret = read_secret(raw.http.token_file, key)
    if isinstance(secret, Problem):
        return None, [Problem(place=place, key=key, text=secret.text)]
    return secret, []


def _credentials(
    raw: RawConfig, environ: Mapping[str, str], merged: Merged
) -> tuple[dict[str, ApiCredentials], list[Problem]]:
    """Credentials by wallet name, and what is missing; a service without any wallet has nothing to do."""
    problems: list[Problem] = []
    found: dict[str, ApiCredentials] = {}
    for wallet in raw.wallets:
        if not wallet.name:
            continue
        credentials, missing = credentials_of(wallet.name, environ)
        problems += missing
        if credentials is not None:
            found[wallet.name] = credentials
    if not merged.tree.get("wallets"):
        text = "there is none to keep in sync; add a [[wallets]] table with name and address"
        problems.append(Problem(place=merged.place_of(("wallets",))[0], key="wallets", text=text))
    return found, problems
