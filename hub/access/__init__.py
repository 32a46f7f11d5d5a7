"""Who may: callers, how they prove themselves, what they are permitted."""
