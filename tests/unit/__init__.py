"""Tests of pure functions and small parts."""
