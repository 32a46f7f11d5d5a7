"""DICOM over DIMSE as IHE Radiology names it: query, retrieve and store (RAD TF-2: 4.14, 4.16, 4.8)."""
