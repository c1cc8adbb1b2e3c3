"""The parts of the experiment that injects faults into guarded and unguarded loops."""
