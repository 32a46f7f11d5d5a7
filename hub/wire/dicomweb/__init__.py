"""DICOMweb (PS3.18): client, query attributes, error table and the encoding of answers."""
