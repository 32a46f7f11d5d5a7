"""Other DRIMboxes: who is called for (contextual call), what of theirs is open, what is exported to an archive."""
