"""Attaching to a training loop, and when to measure."""
