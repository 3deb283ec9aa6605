"""What holds for the code as a whole: sizes, purity, who imports what, packaging, the lock."""
