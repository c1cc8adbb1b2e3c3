"""Measurements that are run by hand, with their results committed as tables."""
