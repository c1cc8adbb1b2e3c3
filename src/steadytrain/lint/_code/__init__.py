"""Training code as it is understood: names, kinds of objects, the order of events in a loop."""
