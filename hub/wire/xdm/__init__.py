"""XDM packages (ITI TF-2: 3.32): written, and read as what a stranger made."""
