"""The audit trail as others read it: DICOM audit messages, syslog (ITI-20)."""
