"""The changes that trials make, one file per kind; every one acts on a copy of a program."""
