"""ebXML registry messages <-> the documents room's model (ebRS/ebRIM 3.0, ITI TF-3: 4.2)."""
