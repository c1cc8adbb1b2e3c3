"""One file per healthy control: a program that looks suspicious and is not."""
