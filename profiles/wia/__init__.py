"""Web-based Image Access (IHE RAD WIA)."""
