"""What is shared: the registry and the repository of the affinity domain."""
