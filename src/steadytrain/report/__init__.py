"""From a run to a page or a terminal table. No torch."""
