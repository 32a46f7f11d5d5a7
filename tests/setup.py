"""``python -m tests.setup``: the foreign software that the tests drive; as root on Debian it is installed."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hub.testing import debian


@dataclass(frozen=True, slots=True)
class Needed:
    """One Debian package, and the files that show it is there (any of them; glob patterns)."""

    package: str
    shown_by: tuple[str, ...]
    what_for: str


NEEDED = (
    Needed("postgresql", ("/usr/lib/postgresql/*/bin/initdb",), "every database test a second time"),
    Needed("orthanc", ("/usr/sbin/Orthanc",), "the PACS of site A"),
    Needed("orthanc-dicomweb", ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so*",), "DICOMweb at site A"),
    Needed("orthanc-gdcm", ("/usr/share/orthanc/plugins/libOrthancGdcm.so*",), "transcoding at site A"),
    Needed("dcmtk", ("/usr/bin/dcmqrscp",), "the PACS of site B, DICOM clients"),
    Needed("dicom3tools", ("/usr/bin/dciodvfy",), "the validator of every manifest"),
    Needed("nginx", ("/usr/sbin/nginx",), "the limit that retrieval is measured against"),
    Needed("chromium", ("/usr/bin/chromium",), "portal and viewer in a browser"),
    Needed("fonts-dejavu-core", ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",), "text in screenshots"),
    Needed("wrk", ("/usr/bin/wrk",), "load over HTTP"),
    Needed("maven", ("/usr/bin/mvn", "/usr/local/bin/mvn"), "the public schemas and WSDLs of XDS"),
    Needed("default-jdk-headless", ("/usr/bin/javac", "/usr/local/bin/javac"), "IPF's XDS clients"),
    Needed("npm", ("/usr/bin/npm", "/usr/local/bin/npm"), "the OHIF viewer"),
    Needed("curl", ("/usr/bin/curl",), "a foreign HTTP client in the benchmarks"),
    Needed("libatomic1", ("/usr/lib/*/libatomic.so.1",), "the driver of the browser tests"),
    Needed("openssl", ("/usr/bin/openssl",), "throw-away certificates"),
    Needed("rsyslog", ("/usr/sbin/rsyslogd",), "the audit record repository (ITI-20)"),
    Needed("rsyslog-gnutls", ("/usr/lib/*/rsyslog/lmnsd_gtls.so",), "syslog over TLS (RFC 5425)"),
    Needed("softhsm2", ("/usr/lib/softhsm/libsofthsm2.so",), "the chip of a CPS card (PKCS#11)"),
    Needed("opensc", ("/usr/bin/pkcs11-tool",), "what puts keys into it"),
    Needed("libengine-pkcs11-openssl", ("/usr/lib/*/engines-3/pkcs11.so",), "curl and openssl with a card"),
    Needed("libnss3-tools", ("/usr/bin/modutil",), "a browser with a card"),
    Needed("dovecot-imapd", ("/usr/lib/dovecot/imap",), "mailboxes of MSSanté"),
    Needed("dovecot-lmtpd", ("/usr/lib/dovecot/lmtp",), "delivery into them"),
)


def missing(needed: Iterable[Needed] = NEEDED) -> tuple[Needed, ...]:
    """What is not there yet."""
    return tuple(item for item in needed if not any(_exists(pattern) for pattern in item.shown_by))


def _exists(pattern: str) -> bool:
    path = Path(pattern)
    return any(True for _ in Path("/").glob(str(path.relative_to("/"))))


def main() -> int:
    """Exit code 0 unless the installation was tried and failed: what is missing makes its tests skip."""
    absent = missing()
    if not absent:
        print("setup: everything that the tests drive is installed")
        return 0
    names = ", ".join(item.package for item in absent)
    if not debian.can_install():
        print(f"setup: missing, their tests will be skipped: {names}")
        for item in absent:
            print(f"  {item.package}: {item.what_for}")
        print(f"setup: as root on Debian: apt-get install {' '.join(item.package for item in absent)}")
        return 0
    print(f"setup: installing {names}", flush=True)
    wrong = debian.install([item.package for item in absent])
    if wrong:
        print(wrong)
    still = missing()
    if still:
        print(f"setup: still missing: {', '.join(item.package for item in still)}")
    return 1 if wrong or still else 0


if __name__ == "__main__":
    sys.exit(main())
