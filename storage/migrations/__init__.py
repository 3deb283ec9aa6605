"""Schema changes, one module each, run in the order of their names by ``schema``; made ones are never edited.

Each module has ``migrate(migrator, database, *, fake=False)`` as peewee-migrate calls it. A migration states its
tables itself, since the models move on.
"""
