"""Deliberately wrong: the pipeline imports the database library."""

import sqlalchemy as sqlalchemy
