"""SOAP 1.2 with WS-Addressing, plain or as an MTOM package (ITI TF-2: Appendix V)."""
