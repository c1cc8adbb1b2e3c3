"""The runs of the experiment `recovery`: a window of poisoned batches in the middle of training."""
