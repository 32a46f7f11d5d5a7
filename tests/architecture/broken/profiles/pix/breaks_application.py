"""Deliberately wrong: a transaction imports the application."""

from hub.app import settings as settings
