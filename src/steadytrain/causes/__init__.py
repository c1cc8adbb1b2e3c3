"""Root causes; one file is one cause, and its name is a word of `core.causes`."""
