"""Built-in archives for where the real ones are missing, and archives that misbehave on purpose."""
