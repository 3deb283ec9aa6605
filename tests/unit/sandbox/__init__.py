"""The sandbox's world: pure, seeded, and in agreement with itself."""
