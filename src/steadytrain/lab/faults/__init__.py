"""One file per fault: a root cause planted in a healthy program."""
