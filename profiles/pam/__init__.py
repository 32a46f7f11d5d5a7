"""Patient Administration Management (ITI TF-1: 14; French extension PAM-FR 2.11)."""
