"""`python -m steadytrain.cli` is `steadytrain`."""

from steadytrain.cli import main

main()
