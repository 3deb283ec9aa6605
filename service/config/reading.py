"""Where the values come from: a TOML file and environment variables, merged, with the origin of each kept."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from service.config.fields import EnvText
from service.config.problems import Problem
from service.config.schema import RawConfig

PREFIX = "PORTFOLIO_SYNC__"
"""Of variables that set a key: ``PORTFOLIO_SYNC__SECTION__KEY``."""

LOCAL_FILE = Path("portfolio-sync.toml")
Tree: TypeAlias = dict[str, Any]
Loc: TypeAlias = tuple[str | int, ...]


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The tree of values; ``variables`` maps the path of each value from the environment to its variable's name.

    ``unreadable``: the file itself could not be read or parsed, so that nothing else can be judged.
    """

    tree: Tree
    unreadable: bool
    file: Path | None
    variables: dict[Loc, str]
    problems: tuple[Problem, ...]

    def place_of(self, loc: Loc) -> tuple[str, str]:
        """(place, key) of a path, for messages: the file and its dotted key, or the environment and the variable."""
        for length in range(len(loc), 0, -1):
            variable = self.variables.get(loc[:length])
            if variable is not None:
                return "environment", variable + dotted(loc[length:], lead=True)
        return str(self.file) if self.file is not None else "defaults", dotted(loc)


def dotted(loc: Loc, *, lead: bool = False) -> str:
    """``wallets[0].address`` for ("wallets", 0, "address"); with ``lead`` names begin with a dot."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text if lead else text.removeprefix(".")


def candidates(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """Files that are looked for when none is named, in this order."""
    base = environ.get("XDG_CONFIG_HOME", "")
    home = Path(base) if base.startswith("/") else Path(environ.get("HOME", "~")).expanduser() / ".config"
    return LOCAL_FILE, home / "portfolio-sync" / "config.toml"


def read(file: Path | None, environ: Mapping[str, str]) -> Merged:
    """Merge file and environment; what cannot be read or parsed at all is a problem, and the rest is judged on."""
    tree, problems = ({}, []) if file is None else _read_file(file)
    overlay = _Environment(environ)()
    unknown = tuple(
        Problem(place="environment", key=name, text=f"no such section; known are: {', '.join(RawConfig.model_fields)}")
        for name in sorted(environ)
        if name.upper().startswith(PREFIX) and _section(name) not in RawConfig.model_fields
    )
    return Merged(
        tree=_merge(tree, overlay),
        unreadable=bool(problems),
        file=file,
        variables={_path(name): name for name in environ if name.upper().startswith(PREFIX)},
        problems=(*problems, *unknown),
    )


def _section(name: str) -> str:
    return name[len(PREFIX) :].lower().split("__", 1)[0]


def _path(name: str) -> Loc:
    return tuple(name[len(PREFIX) :].lower().split("__"))


def _read_file(file: Path) -> tuple[Tree, list[Problem]]:
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text, parse_float=_exact), []
    except OSError as error:
        text = f"cannot be read: {error.strerror}; name another file with --config, or create it"
    except UnicodeDecodeError as error:
        text = f"is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}; save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        text = f"is not valid TOML: {error}"
    return {}, [Problem(place=str(file), key="", text=text)]


def _exact(text: str) -> Decimal | str:
    """A TOML float by its digits. ``nan`` and ``inf`` stay text, which no numeric key takes."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return number if number.is_finite() else text


def _merge(below: Tree, above: Tree) -> Tree:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


class _Environment(EnvSettingsSource):
    """pydantic-settings' reading of variables, over a given mapping, with exact numbers in JSON values."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(RawConfig)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {
            name.lower(): EnvText(value) for name, value in self._environ.items() if name.upper().startswith(PREFIX)
        }

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """JSON where it is JSON; other text stays text, and the key's own type says what it wants."""
        del field_name, field
        try:
            return json.loads(value, parse_float=Decimal)
        except ValueError:
            return value
