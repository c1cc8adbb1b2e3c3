"""Small healthy programs of many kinds, for faults to be planted in and for controls."""

from steadytrain.lab.zoo.case import ARCHITECTURES, Case, Parts, parts_of

__all__ = ["ARCHITECTURES", "Case", "Parts", "parts_of"]
