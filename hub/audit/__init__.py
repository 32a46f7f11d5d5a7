"""What happened, and for whom: a chain of records that nobody can quietly change."""
