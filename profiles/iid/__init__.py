"""Invoke Image Display (IHE RAD IID)."""
