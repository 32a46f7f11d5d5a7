"""``maillage demo``: a study made in one hospital is found and read in another, for real, on this machine."""
