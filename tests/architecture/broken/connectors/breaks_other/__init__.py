"""Deliberately wrong: a connector imports another."""

import connectors.breaks_room as other
