"""What monitoring adds to a training step: steadytrain and its peers in one process."""
