"""The tests; a package of its own, because a dependency installs a top-level `tests` too."""
