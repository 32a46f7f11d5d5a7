"""Deliberately wrong: a wire imports storage."""

from hub.storage import content as content
