"""Deliberately wrong: the product imports its test kit."""

from hub.testing import postgres as postgres
