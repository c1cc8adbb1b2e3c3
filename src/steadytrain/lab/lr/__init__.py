"""Sensitivity to the learning rate: a small character GPT, its configurations, one run of them."""
