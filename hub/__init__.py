"""Maillage: the hub that makes every medical image of a region findable and readable by those who may see it."""

__version__ = "0.1.0"
