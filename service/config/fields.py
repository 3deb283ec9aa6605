"""Types of single values: strict in a file, where TOML has types of its own; by their text from the environment.

Amounts become integers of 1e-6 and durations integers of milliseconds here, exactly; no float is ever made (D-07).
"""

from __future__ import annotations

import decimal
import re
import urllib.parse
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

PROBLEM = "portfolio_sync_value"
"""Type of the errors that are raised here: their text is ours and is shown as it is."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_CONDITION = re.compile(r"0x[0-9a-fA-F]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHOWN_MAX = 60
_MILLION = 1_000_000


class EnvText(str):
    """A value from an environment variable, where everything is text."""

    __slots__ = ()


def invalid(expected: str, found: object) -> PydanticCustomError:
    """The error for a value that is not what its key needs."""
    return PydanticCustomError(
        PROBLEM, "must be {expected}, was {found}", {"expected": expected, "found": _show(found)}
    )


def _show(value: object) -> str:
    if isinstance(value, str):
        text = repr(str(value))
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, dict | list | tuple):
        text = {dict: "a table", list: "a list", tuple: "a list"}[type(value)]
    else:
        text = str(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise invalid('text in quotes ("…")', value)
    return str(value)


def _filled(value: Any) -> str:
    text = _text(value)
    if not text.strip():
        raise invalid("text that is not empty", value)
    return text


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, EnvText) else ""
    if word not in _TRUE | _FALSE:
        raise invalid("true or false", value)
    return word in _TRUE


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, EnvText) and re.fullmatch(r"\s*-?\d{1,18}\s*", value, re.ASCII):
        return int(value)
    raise invalid("a whole number", value)


def _scaled(value: Any, scale: int, expected: str) -> int:
    """``value × scale`` as an integer, exactly; anything finer is refused, never rounded."""
    number: Decimal | None = None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, EnvText):
        try:
            number = Decimal(value.strip())
        except decimal.InvalidOperation:
            raise invalid(expected, value) from None
    if number is None or not number.is_finite() or abs(number) > _MILLION * _MILLION:
        raise invalid(expected, value)
    scaled = number * scale
    if scaled != int(scaled):
        raise invalid(expected, value)
    return int(scaled)


def _micro(value: Any) -> int:
    return _scaled(value, _MILLION, "an amount in pUSD with at most six decimals")


def _milliseconds(value: Any) -> int:
    return _scaled(value, 1000, "a number of seconds with at most three decimals")


def _address(value: Any) -> str:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise invalid("an address: 0x and 40 hexadecimal digits (20 bytes)", value)
    return str(value)


def _optional_address(value: Any) -> str:
    return "" if value == "" else _address(value)


def _condition(value: Any) -> str:
    if not isinstance(value, str) or not _CONDITION.fullmatch(value):
        raise invalid("a condition or neg-risk market id: 0x and 64 hexadecimal digits", value)
    return value.lower()


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise invalid("a name of letters, digits, - and _, at most 64", value)
    return str(value)


def _url_with(value: Any, schemes: tuple[str, ...]) -> str:
    """The URL may hold a key, so that a wrong one is not shown."""
    expected = f"a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)} and names a host"
    if not isinstance(value, str):
        raise invalid(expected, value)
    try:
        parts = urllib.parse.urlsplit(value.strip())
        usable = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise PydanticCustomError(PROBLEM, "must be {expected}; the value is not shown", {"expected": expected})
    return value.strip().rstrip("/")


def _http_url(value: Any) -> str:
    return _url_with(value, ("http", "https"))


def _ws_url(value: Any) -> str:
    return _url_with(value, ("ws", "wss"))


def _optional_url(value: Any) -> str:
    return "" if value == "" else _http_url(value)


def _urls(value: Any) -> tuple[str, ...]:
    """One URL or a list of them; at least one."""
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise invalid("a URL or a list of URLs, at least one", value)
    return tuple(_http_url(item) for item in items)


def _path(value: Any) -> Path:
    return Path(_filled(value)).expanduser()


def _bind(value: Any) -> str:
    """``host:port``, or empty for none."""
    text = _text(value)
    host, separator, port = text.rpartition(":")
    if text and not (separator and host and port.isdigit() and int(port) <= 65535):
        raise invalid('"HOST:PORT" or "" for none', value)
    return text


Text = Annotated[str, BeforeValidator(_text)]
FilledText = Annotated[str, BeforeValidator(_filled)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Integer = Annotated[int, BeforeValidator(_integer)]
Micro = Annotated[int, BeforeValidator(_micro)]
Milliseconds = Annotated[int, BeforeValidator(_milliseconds)]
Address = Annotated[str, BeforeValidator(_address)]
OptionalAddress = Annotated[str, BeforeValidator(_optional_address)]
ConditionId = Annotated[str, BeforeValidator(_condition)]
Name = Annotated[str, BeforeValidator(_name)]
HttpUrl = Annotated[str, BeforeValidator(_http_url)]
WsUrl = Annotated[str, BeforeValidator(_ws_url)]
OptionalUrl = Annotated[str, BeforeValidator(_optional_url)]
Urls = Annotated[tuple[str, ...], BeforeValidator(_urls)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Bind = Annotated[str, BeforeValidator(_bind)]
