"""Unit tests of the pure core, one module per module."""
