"""One file, one experiment with its expected result."""
