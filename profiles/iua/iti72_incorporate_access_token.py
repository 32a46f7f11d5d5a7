"""ITI-72 Incorporate Access Token: no request of its own; every HTTP transaction takes a token in its header."""

from hub.pipeline.transaction import AuditEvent, Kind, Transaction

TRANSACTION = Transaction(
    id="ITI-72",
    title="Incorporate Access Token",
    profile="IUA",
    initiator="Authorization Client",
    responder="Resource Server",
    bindings=(),
    section="ITI TF-2: 3.72",
    kind=Kind.QUERY,
    permission="",
    audit=AuditEvent("110114", "User Authentication", "E"),
    options=("JWT Token", "Token Introspection", "tokens bound to the certificate (RFC 8705)"),
)
