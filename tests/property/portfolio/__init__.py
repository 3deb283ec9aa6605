"""Properties of the pure core, for any ledger and any holdings."""
