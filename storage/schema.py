"""Runs schema changes, and refuses a database whose changes are not those of this code. The changes: ``migrations``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

import peewee as pw
from peewee_migrate.router import ModuleRouter

from storage import migrations
from storage.errors import SchemaOutdated, SchemaTooNew

HISTORY_TABLE = "_schema_history"
"""Table of peewee-migrate with the changes that were made."""


class _PackageRouter(ModuleRouter):
    """Finds migrations as modules of a package, so that they work from a wheel too; a file router would need a path."""

    @property
    def todo(self) -> list[str]:
        """Names of all migrations that this code knows, in their order."""
        return known()


def known() -> list[str]:
    """Names of all migrations that this code knows, in their order."""
    return sorted(module.name for module in pkgutil.iter_modules(migrations.__path__) if module.name.startswith("m"))


def applied(database: pw.Database) -> list[str]:
    """Names of the migrations that were made in ``database``, in their order; none when it is empty."""
    if not database.table_exists(HISTORY_TABLE):
        return []
    rows: Any = database.execute_sql(  # type: ignore[no-untyped-call]
        f'SELECT "name" FROM "{HISTORY_TABLE}" ORDER BY "id"'  # noqa: S608  (a constant)
    )
    return [name for (name,) in rows.fetchall()]


def migrate(database: pw.Database) -> Sequence[str]:
    """Make all changes that are missing, each in a transaction; returns their names. The owner's lock must be held.

    Raises SchemaTooNew when the database has changes that this code does not know.
    """
    _refuse_newer(database)
    for name in known():
        importlib.import_module(f"{migrations.__name__}.{name}")  # the router takes it from the package
    router = _PackageRouter(  # type: ignore[no-untyped-call]
        database, migrate_module=migrations, migrate_table=HISTORY_TABLE
    )
    return router.run()


def check(database: pw.Database) -> None:
    """Raise SchemaTooNew or SchemaOutdated when the schema is not the one of this code. Changes nothing."""
    _refuse_newer(database)
    done = set(applied(database))
    pending = [name for name in known() if name not in done]
    if pending:
        raise SchemaOutdated(pending)


def _refuse_newer(database: pw.Database) -> None:
    mine = set(known())
    unknown = [name for name in applied(database) if name not in mine]
    if unknown:
        raise SchemaTooNew(unknown)
