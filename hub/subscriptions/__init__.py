"""Who wants to hear of what is registered: subscriptions, their notifications, pull points (IHE DSUB)."""
