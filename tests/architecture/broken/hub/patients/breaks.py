"""Deliberately wrong: a room imports the web framework."""

import fastapi as fastapi
