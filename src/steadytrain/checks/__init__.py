"""Preflight: one file is one check of a program before its first step."""

from steadytrain.checks._preflight import preflight

__all__ = ["preflight"]
