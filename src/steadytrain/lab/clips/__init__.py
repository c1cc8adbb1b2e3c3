"""The parts of the experiment `clipping`: rivals by their published formulas, faults, series."""
