"""The process: command line, configuration, wiring, life cycle, HTTP, telemetry, alerting.

The top layer: it may import everything below, and nothing below imports it. What the actors need from outside they
name in ``actors.ports``; the real things are passed in by ``service.bootstrap`` and nowhere else.
"""
