"""Revoked certificates: lists in files, lists and OCSP answers from permitted hosts, and what happens without any."""

import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card
from hub.app.keys.revocation import Fetch, Revocation
from hub.app.settings.nodes import Tls
from hub.errors import Unavailable
from hub.values import now
from hub.wire.x509.errors import CertificateRevoked, RevocationUnknown

CRL, OCSP = "http://crl.example/ca.crl", "http://ocsp.example/"


class Host(Fetch):
    """What the permitted hosts answer; nothing: they are down."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.list = b""
        self.answer: Callable[[bytes], bytes] | None = None
        self.asked: list[str] = []

    def get(self, url: str) -> bytes:
        self.asked.append(url)
        if not self.list:
            raise Unavailable()
        return self.list

    def post(self, url: str, question: bytes) -> bytes:
        self.asked.append(url)
        if self.answer is None:
            raise Unavailable()
        return self.answer(question)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.init(directory)
    pki_cards.issue(directory, "card", Card(crl_url=CRL, ocsp_url=OCSP))
    pki_cards.issue(directory, "plain", Card())
    pki.issue(directory, "responder")
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "pki"))


def pair(directory: Path, name: str = "card") -> tuple[x509.Certificate, x509.Certificate]:
    return pki.load(directory / f"{name}.crt"), pki.load(directory / "ca.crt")


def revocation(host: Host | None = None, **settings: Any) -> Revocation:
    settings = {"revocation": "hard", "revocation_hosts": ("crl.example", "ocsp.example")} | settings
    return Revocation(Tls(**settings), get=host or Host())


def test_a_list_in_a_file_counts_at_once_when_it_changes(directory: Path) -> None:
    file = pki.crl(directory)
    looked = revocation(crls=(file,), revocation_hosts=())
    assert looked.check(*pair(directory)) is not None
    before = looked.generation
    pki.revoke(directory, "card")
    with pytest.raises(CertificateRevoked):
        looked.check(*pair(directory))
    assert looked.generation != before
    looked.check(*pair(directory, "plain"))
    file.write_text("half a li")  # what was good stays
    with pytest.raises(CertificateRevoked):
        looked.check(*pair(directory))


@pytest.mark.parametrize(("mode", "refused"), [("hard", True), ("soft", False), ("off", False)])
def test_when_nobody_tells(directory: Path, mode: str, refused: bool) -> None:
    looked = revocation(revocation=mode)
    if refused:
        with pytest.raises(RevocationUnknown):
            looked.check(*pair(directory))
        with pytest.raises(RevocationUnknown):
            looked.check(pair(directory)[0], None)
    else:
        assert looked.check(*pair(directory)) is None


def test_an_old_list_still_revokes_and_vouches_no_more(directory: Path) -> None:
    pki.revoke(directory, "plain")
    file = pki.crl(directory, days=1)
    later = now() + timedelta(days=2)
    looked = Revocation(Tls(revocation="hard", crls=(file,)), clock=lambda: later, get=Host())
    with pytest.raises(CertificateRevoked):
        looked.check(*pair(directory, "plain"))
    with pytest.raises(RevocationUnknown):
        looked.check(*pair(directory))


def test_a_list_that_another_signed_is_not_believed(directory: Path, tmp_path: Path) -> None:
    pki.init(tmp_path / "another")  # the same name, another key
    looked = revocation(crls=(pki.crl(tmp_path / "another"),), revocation_hosts=())
    with pytest.raises(RevocationUnknown):
        looked.check(*pair(directory))


def test_a_list_is_fetched_once_from_permitted_hosts_only(directory: Path) -> None:
    host = Host()
    host.list = x509.load_pem_x509_crl(pki.crl(directory).read_bytes()).public_bytes(Encoding.DER)
    looked = revocation(host)
    for _ in range(3):
        assert looked.check(*pair(directory)) is not None
    assert host.asked == [CRL]
    for hosts in ((), ("example",), ("crl.example:8080",), ("crl.example.org",)):
        stranger = Host()
        with pytest.raises(RevocationUnknown):
            revocation(stranger, revocation_hosts=hosts).check(*pair(directory))
        assert stranger.asked == []


def test_a_host_that_is_down_is_left_alone_for_a_while(directory: Path) -> None:
    host = Host()
    looked = revocation(host)
    for _ in range(3):
        with pytest.raises(RevocationUnknown):
            looked.check(*pair(directory))
    assert host.asked == [CRL, OCSP]


@pytest.mark.parametrize("only", ["crl.example", "ocsp.example"])
def test_who_was_revoked_stays_so_when_the_host_goes_down(directory: Path, only: str) -> None:
    """What was fetched has run out: it vouches for nobody any more, but nobody comes back by it."""
    days = [0]
    pki.revoke(directory, "card")
    host, settings = Host(), Tls(revocation="soft", revocation_hosts=(only,))
    host.list = x509.load_pem_x509_crl(pki.crl(directory, days=1).read_bytes()).public_bytes(Encoding.DER)
    host.answer = answered(directory, status=REVOKED)
    looked = Revocation(
        settings, clock=lambda: now() + timedelta(days=days[0]), ticks=lambda: days[0] * 86_400.0, get=host
    )
    with pytest.raises(CertificateRevoked):
        looked.check(*pair(directory))
    host.list, host.answer, days[0] = b"", None, 2
    for _ in range(2):
        with pytest.raises(CertificateRevoked):
            looked.check(*pair(directory))
    assert len(host.asked) == 2, "asked again, and then left alone for a while"


@pytest.mark.parametrize("lie", ["another's", "an older one"])
def test_a_list_that_lies_does_not_take_the_place_of_a_good_one(directory: Path, tmp_path: Path, lie: str) -> None:
    """A list comes by plain http: whoever sends one of their own, or one of last year, brings nobody back."""

    def der(file: Path) -> bytes:
        return x509.load_pem_x509_crl(file.read_bytes()).public_bytes(Encoding.DER)

    days, host = [0.0], Host()
    looked = Revocation(
        Tls(revocation="soft", revocation_hosts=("crl.example",)),
        clock=lambda: now() + timedelta(days=days[0]),
        ticks=lambda: days[0] * 86_400.0,
        get=host,
    )
    pki.init(tmp_path / "another")  # the same name, another key
    lies = {"another's": der(pki.crl(tmp_path / "another", days=999)), "an older one": backdated(directory)}
    host.list = lies["another's"]
    assert looked.check(*pair(directory)) is None
    pki.revoke(directory, "card")
    host.list, days[0] = der(pki.crl(directory, days=1)), 0.1
    with pytest.raises(CertificateRevoked):  # the lie was not kept for as long as it says
        looked.check(*pair(directory))
    host.list, days[0] = lies[lie], 2
    with pytest.raises(CertificateRevoked):
        looked.check(*pair(directory))


def backdated(directory: Path) -> bytes:
    """A list of the authority itself, made last year, on which nobody was."""
    made = x509.CertificateRevocationListBuilder(pki.load(directory / "ca.crt").subject)
    made = made.last_update(now() - timedelta(days=365)).next_update(now() + timedelta(days=365))
    return made.sign(_key(directory, "ca"), hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_host_that_drips_its_headers_is_cut_off() -> None:
    """Each line comes in time, the whole does not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for number in range(60):
                    connection.sendall(f"X-{number}: 0\r\n".encode())
                    threading.Event().wait(0.1)
                connection.sendall(b"Content-Length: 0\r\n\r\n")

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        with pytest.raises(Unavailable):
            Fetch(0.5).get(f"http://127.0.0.1:{listener.getsockname()[1]}/ca.crl")
        dripping.join(30)


def answered(directory: Path, *, signer: str = "ca", status: ocsp.OCSPCertStatus, nonce: bool = True, age: int = 0,
             other: bool = False, issuer: str = "ca") -> Callable[[bytes], bytes]:  # fmt: skip
    """A responder. ``signer``: whose key signs; ``other``: it speaks of another certificate."""

    def answer(question: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(question)
        key = _key(directory, signer)
        certificate = pki.load(directory / ("plain.crt" if other else "card.crt"))
        at = now() - timedelta(days=age)
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                certificate,
                pki.load(directory / f"{issuer}.crt"),
                hashes.SHA1(),
                status,
                at,
                at + timedelta(hours=1),
                at if revoked else None,
                None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, pki.load(directory / f"{signer}.crt"))
            .certificates([pki.load(directory / f"{signer}.crt")])
        )
        back = asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        builder = builder.add_extension(x509.OCSPNonce(back if nonce else b"0123456789abcdef"), critical=False)
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    return answer


def _key(directory: Path, name: str) -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN


def test_a_responder_says_good_once_for_as_long_as_it_says(directory: Path) -> None:
    host = Host()
    host.answer = answered(directory, status=GOOD)
    looked = revocation(host, revocation_hosts=("ocsp.example",))
    for _ in range(3):
        assert looked.check(*pair(directory)) is not None
    assert host.asked == [OCSP]


def test_a_responder_says_revoked(directory: Path) -> None:
    host = Host()
    host.answer = answered(directory, status=REVOKED)
    for mode in ("soft", "hard"):
        with pytest.raises(CertificateRevoked):
            revocation(host, revocation=mode).check(*pair(directory))


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": UNKNOWN},
        {"status": GOOD, "nonce": False},
        {"status": GOOD, "age": 1},
        {"status": GOOD, "age": -1},
        {"status": GOOD, "other": True},
        {"status": GOOD, "signer": "responder"},  # a certificate of the authority, and not made for this
    ],
    ids=str,
)
def test_answers_that_are_not_believed(directory: Path, wrong: dict[str, Any]) -> None:
    host = Host()
    host.answer = answered(directory, **wrong)
    with pytest.raises(RevocationUnknown):
        revocation(host).check(*pair(directory))


def test_a_responder_to_whom_the_authority_gave_the_task(directory: Path) -> None:
    authority, key = pki.authority_of(directory)
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ocsp")])
    builder = pki.builder_of(name, authority.subject, own.public_key(), 1).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False
    )
    pki.write(directory, "delegate", builder.sign(key, hashes.SHA256()), own)
    host = Host()
    host.answer = answered(directory, status=GOOD, signer="delegate")
    assert revocation(host).check(*pair(directory)) is not None


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x30\x03\x0a\x01\x06"])
def test_hosts_that_answer_nonsense(directory: Path, data: bytes) -> None:
    host = Host()
    host.list, host.answer = data or b"x", lambda _: data
    with pytest.raises(RevocationUnknown):
        revocation(host).check(*pair(directory))


def test_certificate_and_its_time(directory: Path) -> None:
    assert isinstance(revocation(crls=(pki.crl(directory),)).check(*pair(directory)), datetime)
