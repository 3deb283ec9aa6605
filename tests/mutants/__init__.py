"""Faults planted in our code one at a time, each of which a named test must catch: ``python -m tests.mutants``."""
