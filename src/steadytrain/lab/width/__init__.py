"""Networks of several widths in two parametrisations: what they compute, and their best rates."""
