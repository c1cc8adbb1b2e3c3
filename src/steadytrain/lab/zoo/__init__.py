"""Small healthy programs of many kinds, for faults to be planted in and for controls."""
