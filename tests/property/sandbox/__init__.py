"""Properties of the sandbox, which is the oracle of other tests."""
