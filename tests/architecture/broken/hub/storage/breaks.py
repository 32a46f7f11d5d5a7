"""Deliberately wrong: storage imports a room."""

from hub.documents import model as model
