"""The simulator: seeds that pass, runs that repeat, faults that are found."""
