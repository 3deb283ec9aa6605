"""Hand over to setup.cfg, which holds everything; tools that only know a setup.py find one here."""

from setuptools import setup

setup()
