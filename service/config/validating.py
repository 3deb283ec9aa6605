"""From a tree of values to typed sections, with every wrong key and value named, and the nearest known key.

A wrong value is taken out and the rest judged without it, so that one mistake does not hide another.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from service.config.fields import PROBLEM, invalid
from service.config.problems import Problem
from service.config.reading import Loc, Merged, dotted
from service.config.schema import RawConfig, Section

_SECRET_KEYS = frozenset({"api_key", "api_secret", "api_passphrase", "passphrase", "secret", "key"})
_SIGNING_KEYS = frozenset({"private_key", "mnemonic", "seed", "seed_phrase"})
_CLOSE = 0.6
_VERY_CLOSE = 0.8


def validate(merged: Merged) -> tuple[RawConfig, list[Problem], frozenset[Loc]]:
    """Sections with what is right, the problems with what is not, and the paths that were taken out."""
    try:
        return RawConfig(**copy.deepcopy(merged.tree)), [], frozenset()
    except ValidationError as error:
        details = error.errors(include_url=False)
    problems = [_problem(detail, merged) for detail in details]
    tree = copy.deepcopy(merged.tree)
    # From the back, so that taking an item out of a list moves none that is still to be taken out.
    for detail in sorted(details, key=lambda each: [str(part).zfill(6) for part in each["loc"]], reverse=True):
        _take_out(tree, detail["loc"])
    return RawConfig(**tree), problems, frozenset(detail["loc"] for detail in details)


def _take_out(tree: Any, loc: Loc) -> None:
    *path, last = loc
    for part in path:
        if not _has(tree, part):
            return
        tree = tree[part]
    if isinstance(tree, dict):
        tree.pop(last, None)
    elif _has(tree, last):
        if path == ["wallets"]:
            tree[last] = {}  # stays in its place, so that later wallets keep their numbers
        else:
            del tree[last]


def _has(tree: Any, part: str | int) -> bool:
    if isinstance(tree, list):
        return isinstance(part, int) and part < len(tree)
    return isinstance(tree, dict) and part in tree


def _problem(detail: ErrorDetails, merged: Merged) -> Problem:
    loc = detail["loc"]
    place, key = merged.place_of(loc)
    return Problem(place=place, key=key, text=_text(detail, loc))


def _text(detail: ErrorDetails, loc: Loc) -> str:
    kind, found = detail["type"], detail["input"]
    if kind == PROBLEM:
        return detail["msg"]
    if kind == "extra_forbidden":
        return unknown_key(loc)
    if kind == "literal_error":
        return invalid(f"one of {detail['ctx']['expected']}", found).message()
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return invalid(f"a table ([{dotted(loc)}])", found).message()
    if kind in {"tuple_type", "list_type"}:
        return invalid("a list ([…])", found).message()
    return detail["msg"]


def unknown_key(loc: Loc) -> str:
    """What to say of a key that does not exist: the nearest one that does; or why a secret does not belong here."""
    key = str(loc[-1])
    if loc[0] == "wallets" and key.lower() in _SIGNING_KEYS:
        return "unknown key, and no signing key belongs here: this service only reads; remove it (and replace the key)"
    if loc[0] == "wallets" and key.lower() in _SECRET_KEYS:
        return (
            "unknown key: secrets come only from the environment (PORTFOLIO_SYNC_<NAME>_API_KEY, …_API_SECRET, "
            "…_API_PASSPHRASE) or from files it names (…_FILE); remove it"
        )
    return f"unknown key; the nearest known one is {nearest(loc)}"


def nearest(loc: Loc) -> str:
    """The known key nearest to ``loc``: of the same section, else a very similar one elsewhere."""
    names = tuple(str(part) for part in loc if not isinstance(part, int))
    section, key = names[:-1], names[-1]
    known = {path: path[-1] for path in known_keys()}
    here = [path[-1] for path in known if _same_section(path[:-1], section)]
    elsewhere = [dotted(path) for path in known if path[-1] == key]
    if elsewhere:
        return elsewhere[0]
    close = difflib.get_close_matches(key, here, n=1, cutoff=_CLOSE)
    if close:
        return dotted((*loc[:-1], close[0]))
    everywhere = difflib.get_close_matches(key, sorted(set(known.values())), n=1, cutoff=_VERY_CLOSE)
    if everywhere:
        return next(dotted(path) for path in known if path[-1] == everywhere[0])
    return dotted((*loc[:-1], *difflib.get_close_matches(key, here, n=1, cutoff=0.0)))


def _same_section(path: tuple[str, ...], section: tuple[str, ...]) -> bool:
    """Whether both name the same table; ``strategies.*`` stands for every strategy."""
    return len(path) == len(section) and all(a in {b, "*"} for a, b in zip(path, section, strict=True))


def known_keys() -> Iterator[tuple[str, ...]]:
    """The path of every section and every key; ``*`` where a name is free."""
    for name, field in RawConfig.model_fields.items():
        yield (name,)
        yield from _keys_of(name, field.annotation)


def _keys_of(name: str, annotation: Any) -> Iterator[tuple[str, ...]]:
    """Keys of a section, of each of a list of sections, or of each of a dict of sections."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from ((name, key) for key in annotation.model_fields)
        return
    for inner in get_args(annotation):
        if isinstance(inner, type) and issubclass(inner, Section):
            free = ("*",) if str(annotation).startswith("dict") else ()
            yield from ((name, *free, key) for key in inner.model_fields)
