"""Secrets: only from the environment, or from a file that the environment names; never from the configuration file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from polymarket.settings import ApiCredentials, Secret
from service.config.problems import Problem

PARTS = ("API_KEY", "API_SECRET", "API_PASSPHRASE")
SECRET_MAX_BYTES = 4096


def prefix_of(wallet: str) -> str:
    """``PORTFOLIO_SYNC_MAIN_1`` for the wallet ``main-1``."""
    return "PORTFOLIO_SYNC_" + re.sub(r"[^A-Z0-9]", "_", wallet.upper())


def credentials_of(wallet: str, environ: Mapping[str, str]) -> tuple[ApiCredentials | None, list[Problem]]:
    """A wallet's API credentials, or the problems with each of the three parts."""
    problems: list[Problem] = []
    found: list[Secret] = []
    for part in PARTS:
        secret = _secret(f"{prefix_of(wallet)}_{part}", environ)
        if isinstance(secret, Problem):
            problems.append(secret)
        else:
            found.append(secret)
    if problems:
        return None, problems
    key, api_secret, passphrase = found
    return ApiCredentials(key=key, secret=api_secret, passphrase=passphrase), []


def _secret(variable: str, environ: Mapping[str, str]) -> Secret | Problem:
    value = environ.get(variable, "").strip()
    file = environ.get(f"{variable}_FILE", "").strip()
    if value and file:
        return _problem(variable, f"is set, and so is {variable}_FILE; keep one of them")
    if value:
        return Secret(value)
    if not file:
        return _problem(variable, f"is not set; set it, or {variable}_FILE to the path of a file that holds it")
    return read_secret(Path(file), f"{variable}_FILE")


def read_secret(file: Path, key: str) -> Secret | Problem:
    """The one line of a secret's file. ``key`` is who named the file; the content is never part of a message."""
    try:
        with file.open("rb") as opened:
            content = opened.read(SECRET_MAX_BYTES + 1)
        text = content.decode("utf-8").strip()
    except OSError as error:
        return _problem(key, f"names {file}, which cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return _problem(key, f"names {file}, which holds no text; it must hold the secret and nothing else")
    if not text or len(content) > SECRET_MAX_BYTES or len(text.split()) != 1:
        return _problem(key, f"names {file}, which must hold one line with the secret and nothing else")
    return Secret(text)


def _problem(key: str, text: str) -> Problem:
    return Problem(place="environment", key=key, text=text)
