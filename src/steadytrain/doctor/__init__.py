"""The doctor: proves a root cause by changing one thing and running again."""
