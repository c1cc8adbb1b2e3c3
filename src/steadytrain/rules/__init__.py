"""One file, one rule: a pure function of the history."""
