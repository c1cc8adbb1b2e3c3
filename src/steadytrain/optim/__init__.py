"""Schedules, clipping, accumulation: what stands between the gradient and the update."""
