"""Deliberately wrong: a transaction imports the application."""

from hub.app.settings import model as settings
