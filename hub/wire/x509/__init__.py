"""Certificates: what they say, whether they are good (RFC 5280, RFC 6960). Pure: nothing is fetched here."""
