"""Commands about the configuration: check, show, reload."""

from __future__ import annotations

from typing import Any

import typer

from service.cli.context import chosen_file, control, load_config
from service.cli.failures import Exit, say
from service.cli.options import ConfigFile, Json
from service.cli.output import print_json, put

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(epilog="Example: portfolio-sync config check --config portfolio-sync.toml")
def check(context: typer.Context, *, config: ConfigFile = None, json: Json = False) -> None:
    """Check the whole configuration, secrets included, and name every problem at once, with file and key."""
    from service.config import ConfigError, find_file, load

    file = chosen_file(context, config) or find_file()
    shown_file = None if file is None else str(file)
    try:
        settings = load(file)
    except ConfigError as error:
        if not json:
            raise
        print_json({"ok": False, "file": shown_file, "problems": [_problem(each) for each in error.problems]})
        raise typer.Exit(int(Exit.USAGE)) from None
    warnings = [
        {"key": f"sync.{each.parameter}", "level": each.level.value, "code": str(each.code), "text": each.text}
        for each in settings.findings
    ]
    if json:
        print_json({"ok": True, "file": shown_file, "problems": [], "warnings": warnings})
        return
    for warning in warnings:
        say(f"warning: {warning['key']}: {warning['text']}")
    put(f"{shown_file or 'built-in defaults and environment'}: no problems")


def _problem(problem: Any) -> dict[str, str]:
    return {"file": problem.place, "key": problem.key, "code": problem.code, "text": problem.text}


@commands.command(epilog="Example: portfolio-sync config show --json")
def show(context: typer.Context, *, config: ConfigFile = None, json: Json = False) -> None:
    """Show every key with the value in force, defaults included. Secrets are never shown."""
    from service.config import shown

    document = shown(load_config(context, config, secrets_needed=False))
    if json:
        print_json(document)
        return
    for key, value in _flat("", document):
        put(f"{key} = {value}")


def _flat(path: str, value: Any) -> list[tuple[str, Any]]:
    """Dotted keys and their values, in the file's order."""
    if isinstance(value, dict):
        parts = [(f"{path}.{key}" if path else str(key), each) for key, each in value.items()]
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        parts = [(f"{path}[{index}]", each) for index, each in enumerate(value)]
    else:
        return [(path, _written(value))]
    return [pair for key, each in parts for pair in _flat(key, each)]


def _written(value: Any) -> str:
    from service.encoding import encode

    return encode(value).decode()


@commands.command(epilog="Example: portfolio-sync config reload")
def reload(context: typer.Context, *, config: ConfigFile = None, json: Json = False) -> None:
    """Let the running process read its configuration again; a rejected one leaves the old in force."""
    answer = control(load_config(context, config, secrets_needed=False)).post("/v1/config/reload")
    if json:
        print_json(answer)
        return
    for key, value in _flat("", answer):
        put(f"{key} = {value}")
