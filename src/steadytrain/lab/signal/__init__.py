"""The signal and the gradient of a deep plain network at its start, layer by layer."""
