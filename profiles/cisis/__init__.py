"""CI-SIS: transmission of CDA documents in HL7 v2 (CISIS_CDA_HL7_V2)."""
