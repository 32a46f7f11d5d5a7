"""WS-BaseNotification 1.3 as IHE DSUB uses it (ITI TF-2: 3.52, 3.53, 3.54, 3.69, 3.70)."""
