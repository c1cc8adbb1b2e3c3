"""The textbook lesson on training stability: its network, its configurations, one run of them."""
