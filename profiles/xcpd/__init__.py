"""Cross-Community Patient Discovery (ITI TF-1: 27)."""
