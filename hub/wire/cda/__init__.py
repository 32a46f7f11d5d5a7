"""Clinical documents that the hub writes itself (CDA R2)."""
