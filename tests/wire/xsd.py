"""Schemas are made one after the other: libxml2 initialises its types at the first one, and threads would collide."""

import threading
from collections.abc import Callable
from functools import cache, wraps

from lxml import etree

_ONE_AT_A_TIME = threading.RLock()


def made_once(make: Callable[[str], etree.XMLSchema]) -> Callable[[str], etree.XMLSchema]:
    """``make``, once for each name."""
    kept = cache(make)

    @wraps(make)
    def schema(name: str) -> etree.XMLSchema:
        with _ONE_AT_A_TIME:
            return kept(name)

    return schema
