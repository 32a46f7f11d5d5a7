"""Document Metadata Subscription (ITI TF-1: 26): the hub as notification broker and as pull point."""
