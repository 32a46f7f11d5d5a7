"""What DRIMboxes say to each other beside WADO-RS: the signed list of those that are trusted (DRIM-M)."""
