"""What is measured, against what, in one run: ``python -m benchmarks`` (D-27). Nothing of the product imports it."""
