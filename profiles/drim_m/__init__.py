"""DRIM-M: imaging in the national record, between DRIMboxes."""
