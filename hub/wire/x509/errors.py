"""Why a certificate is not believed."""

from hub.access.errors import BadCredentials
from hub.errors import Malformed


class CertificateRefused(BadCredentials):
    """The certificate is not believed."""

    code = "certificate-refused"
    title = "The client certificate is not believed."


class CertificateUnreadable(CertificateRefused):
    """What was shown is no X.509 certificate."""

    code = "certificate-unreadable"
    title = "The client certificate is not readable."


class CertificateUntrusted(CertificateRefused):
    """No authority that is believed here vouches for it: a foreign or self-made certificate."""

    code = "certificate-untrusted"
    title = "No authority that is believed here vouches for the client certificate."


class CertificateExpired(CertificateRefused):
    """Its last day, or that of its authority, has passed."""

    code = "certificate-expired"
    title = "The client certificate has expired."


class CertificateNotYetValid(CertificateRefused):
    """Its first day, or that of its authority, is to come; or this machine's clock is wrong."""

    code = "certificate-not-yet-valid"
    title = "The client certificate is not valid yet."


class CertificatePurpose(CertificateRefused):
    """It was issued for something else: a server's, or a signature's certificate (keyUsage, extendedKeyUsage)."""

    code = "certificate-purpose"
    title = "The client certificate was not issued for the authentication of clients."


class CertificateRevoked(CertificateRefused):
    """Its authority took it back."""

    code = "certificate-revoked"
    title = "The client certificate is revoked."


class RevocationUnknown(CertificateRefused):
    """Whether it is revoked can't be found out, and without knowing nobody is let in (tls.revocation = "hard")."""

    code = "revocation-unknown"
    title = "Whether the client certificate is revoked can't be found out now."


class RevocationUnreadable(Malformed):
    """A revocation list or an OCSP answer can't be used: not readable, not signed by whom it must, out of date."""

    code = "revocation-unreadable"
    title = "The revocation list or OCSP answer can't be used."
