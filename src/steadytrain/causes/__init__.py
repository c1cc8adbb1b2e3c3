"""One file, one root cause."""
