"""One file per change that a trial makes on a copy of a program."""
