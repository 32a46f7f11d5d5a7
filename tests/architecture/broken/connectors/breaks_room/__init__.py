"""Deliberately wrong: a connector imports storage."""

from hub.storage import content as content
