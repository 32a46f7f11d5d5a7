"""Internet User Authorization (IUA, ITI TF-1: 34): tokens for systems, and for people whom a provider vouches for."""
