"""Cross-Community Access, of documents (ITI TF-1: 18) and of images (IHE RAD XCA-I)."""
