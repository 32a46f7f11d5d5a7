"""Cross-Enterprise Document Sharing for Imaging (IHE RAD XDS-I.b)."""
