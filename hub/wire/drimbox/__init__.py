"""What DRIMboxes say to each other beside WADO-RS: the signed list of those that are trusted (DRIM-M)."""

#: HTTP header of a request for images: the SOPInstanceUID of the manifest that refers to them.
MANIFEST_HEADER = "kos-sopinstanceuid"
