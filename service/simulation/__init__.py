"""The simulator: the whole service in virtual time against the sandbox's world, from one seed, with faults (X-03)."""
