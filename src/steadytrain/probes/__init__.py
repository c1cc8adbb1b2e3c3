"""One file, one kind of measurement of gradients, parameters, updates, activations."""
