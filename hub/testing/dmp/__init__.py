"""A simulator of the national record (DMP), as strict as the published facts allow.

It shares nothing with the connector: its own reading of XML, its own rules, its own checks of signatures, so that the
two can disagree. What it can't know (the interface specification SEL-MP-037 is not public), docs/howto says.
"""
