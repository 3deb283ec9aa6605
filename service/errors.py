"""The base of failures that people are told of in one line: their texts say what happened and what to do."""

from __future__ import annotations


class ServiceError(Exception):
    """An expected failure. The command line prints its text without a traceback and ends with exit code 1."""
