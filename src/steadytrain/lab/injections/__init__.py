"""Faults that are injected into a run from outside: one file is one kind."""
