"""What proving who one is costs, and what the policy costs: ITI-18 and WADO-RS over TLS, in turn with the same
requests of a caller who shows nothing while no patient has said anything; and assertions verified a second."""

import base64
import http.client
import itertools
import re
import socket
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sqlalchemy import create_engine

from benchmarks.bench_query import ACTION, KINDS, samples
from benchmarks.bench_retrieve import ACCEPT, SOURCE, make_study, publish
from benchmarks.bench_retrieve import AUTHORITY as HOSPITAL
from benchmarks.figures import Figure, cpu_seconds
from benchmarks.registry_filler import AFFINITY_DOMAIN, PER_PATIENT, fill, patient_number
from hub.access.assertion_model import Assertion, Attribute, Coded, Confirmation, Name
from hub.access.model import Credentials
from hub.access.rights_model import Choice, Consent, Matter
from hub.access.store_rights import RightsStore
from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card, Layout
from hub.app.settings.file import load
from hub.app.wiring import Hub
from hub.storage.engine import Database
from hub.testing.ports import free_port
from hub.testing.postgres import PostgresqlMissing, PostgresqlServer
from hub.testing.sandbox import SandboxProcess
from hub.testing.sites import dicomweb_site
from hub.values import PatientIdentifier, new_key, now
from hub.wire.jose import jwt
from hub.wire.jose.keys import new_key as new_signing_key
from hub.wire.jose.keys import signing_key
from hub.wire.saml import names
from hub.wire.saml.issuing import issue, new_id
from hub.wire.soap.names import WSSE

MOST_MS, MOST_PART = 2.0, 1.1
ISSUER, AUDIENCE, DOCTOR = "https://idp.bench.example/saml", "https://hub.bench.example", "899700000001"
THREADS = 4
OTHERS = 1000  #: persons who oppose, none of whom the questions are about
BLOCK = 10  #: requests of one caller before it is the next one's turn
_END = re.compile(rb"</\w+:Header>")


@dataclass(frozen=True, slots=True)
class Proof:
    """A way to show who one is: the certificate of ``node``, a token, an assertion."""

    name: str
    node: str = ""
    token: bool = False
    saml: bool = False


NOTHING = Proof("nothing")
PINNED = Proof("a certificate by its fingerprint", "client")
CARD = Proof("a professional's card", "card")
PROOFS = (
    NOTHING,
    PINNED,
    Proof("a certificate by its authority", "other"),
    Proof("a signed token (JWT)", token=True),
    Proof("a new SAML assertion each time", "client", saml=True),
    CARD,
)
SILENCE = ""  #: no patient has said anything
Kind = tuple[str, Proof]  #: what patients have said, what the caller shows
Copy = Callable[[str, Path], str]  #: URL of a copy of a database


def run(*, quick: bool) -> Iterator[Figure]:
    size, rounds = (1_000, 1) if quick else (100_000, 12)
    with tempfile.TemporaryDirectory() as folder:
        yield from _measured(
            "SQLite", f"sqlite:///{folder}/hub.sqlite", Path(folder) / "sqlite", size, rounds, _copied_file
        )
        try:
            server = PostgresqlServer(durable=not quick)
        except PostgresqlMissing as error:
            yield Figure("access", "PostgreSQL", 0.0, "ms", note=f"not measured: {error.message}")
            return
        with server:
            name = server.create_database()

            def copied(_url: str, _root: Path) -> str:
                return server.url(server.create_database(template=name))

            yield from _measured("PostgreSQL", server.url(name), Path(folder) / "postgresql", size, rounds, copied)


def _measured(  # noqa: PLR0917 (where, how many, how)
    database: str, url: str, root: Path, size: int, rounds: int, copy: Copy
) -> Iterator[Figure]:
    """A hub for each state of what patients have said, each on its own copy of the registry, asked in turn: a machine's
    moods hit all alike."""
    root.mkdir()
    fill(url, size)
    engine = create_engine(url)
    found = samples(engine, size, 8)
    engine.dispose()
    site = dicomweb_site(root / "site")
    try:
        study = make_study(root / "study", 5, "1")
        site.store(sorted((root / "study").iterdir()))
        source = f"{SOURCE}=dicomweb:{site.dicomweb_url}"
        options = ("--open", "--db", url, "--affinity-domain", AFFINITY_DOMAIN, "--source", source)
        with SandboxProcess(*options, "--data", str(root / "data")) as box:
            publish(box, study, "1")
        bodies = [KINDS[0].body(sample) for sample in found]
        questions: dict[str, Callable[[Place, Proof], Caller]] = {
            f"ITI-18, {KINDS[0].name}": lambda place, proof: place.query(proof, bodies),
            "WADO-RS, 5 instances": lambda place, proof: place.retrieve(proof, study.study_instance_uid),
        }
        asked = [PatientIdentifier(sample.patient.partition("^")[0], AFFINITY_DOMAIN) for sample in found]
        asked.append(PatientIdentifier("P1", HOSPITAL))
        others = [PatientIdentifier(patient_number(number), AFFINITY_DOMAIN) for number in range(size // PER_PATIENT)]
        said = {
            SILENCE: ([], Choice.UNKNOWN),
            "others oppose": ([one for one in others if one not in asked][:OTHERS], Choice.OPPOSITION),
            "this person consents": (asked, Choice.CONSENT),
        }
        places = {words: _place(words, said[words], root, copy(url, root), site.dicomweb_url) for words in said}
        with ExitStack() as running:
            processes = {words: running.enter_context(place.running()) for words, place in places.items()}
            for name, make in questions.items():
                callers = {
                    (words, proof): (processes[words], make(place, proof))
                    for words, place in places.items()
                    for proof in (PROOFS if words == SILENCE else (PINNED, CARD))
                }
                times = measure(callers, rounds)
                base = times.pop((SILENCE, NOTHING))
                for (words, proof), one in times.items():
                    yield _figure(", ".join(filter(None, (name, proof.name, words, database))), one, base)
        yield _verified(database, places[SILENCE], 40 * rounds)
    finally:
        site.stop()


def _place(words: str, said: tuple[Sequence[PatientIdentifier], Choice], root: Path, url: str, archive: str) -> "Place":
    folder = root / (words.replace(" ", "-") or "silence")
    folder.mkdir()
    _say(url, *said)
    return Place(folder, url, archive)


def _copied_file(url: str, root: Path) -> str:
    """Another SQLite database with the same contents."""
    name = root / f"{uuid.uuid4().hex}.sqlite"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as old, closing(sqlite3.connect(name)) as new:
        old.backup(new)
    return f"sqlite:///{name}"


def _figure(name: str, one: tuple[float, float], base: tuple[float, float]) -> Figure:
    more = one[0] - base[0]
    return Figure(
        "access", name, one[0], "ms", "nothing shown, nobody said anything", base[0],
        f"at most {MOST_MS:.0f} ms and a tenth more", more < MOST_MS and one[0] < MOST_PART * base[0],
        f"p50, callers in turn; {more:+.2f} ms; the hub's own CPU: {one[1]:.2f} ms beside {base[1]:.2f} ms",
    )  # fmt: skip


Request = tuple[str, str, dict[str, str], bytes]  #: method, path, fields, body


@dataclass(frozen=True, slots=True)
class Caller:
    """One connection, and what it asks."""

    connection: http.client.HTTPSConnection
    requests: Iterator[Request]

    def block(self, size: int) -> list[Request]:
        """The next requests, made beforehand: who signs between them would leave the hub time to itself, in which it
        writes the audit record of each alone."""
        return list(itertools.islice(self.requests, size))

    def ask(self, request: Request) -> float:
        """Seconds until the whole answer was there. Raises RuntimeError when it is none."""
        method, path, fields, body = request
        started = time.perf_counter()
        self.connection.request(method, path, body or None, fields)
        answer = self.connection.getresponse()
        content = answer.read()
        elapsed = time.perf_counter() - started
        if answer.status != 200 or b"Failure" in content[:4000]:
            raise RuntimeError(f"{path} was answered with {answer.status}: {content[:1000]!r}")
        return elapsed


def measure(callers: Mapping[Kind, tuple[int, Caller]], rounds: int) -> dict[Kind, tuple[float, float]]:
    """All of them in every round, so that a busy moment hits all alike: milliseconds, the median of the answers and
    the hub's CPU for each."""
    times: dict[Kind, list[float]] = {kind: [] for kind in callers}
    used = dict.fromkeys(callers, 0.0)
    for number in range(rounds + 1):
        for kind, (process, caller) in callers.items():
            requests = caller.block(BLOCK if rounds > 1 else 2)
            before = cpu_seconds(process)
            block = [caller.ask(request) for request in requests]
            if number:  # the first is for warming up
                times[kind] += block
                used[kind] += cpu_seconds(process) - before
    for _, caller in callers.values():
        caller.connection.close()
    return {kind: (statistics.median(times[kind]) * 1000, used[kind] * 1000 / len(times[kind])) for kind in callers}


def _say(url: str, whose: Sequence[PatientIdentifier], choice: Choice) -> None:
    """What patients said, as the rooms would keep it."""
    database, at = Database(url), now()
    with database.transaction() as work:
        store = RightsStore(work)
        for one in whose:
            word = Consent(new_key(), one, Matter.CONSULTATION, choice, at - timedelta(days=1))
            store.add(word, version=1, author="bench", message_id="", at=at, standing=True)
    database.dispose()


class Place:
    """Keys, settings, and a hub that lets in who shows something good, and who shows nothing."""

    def __init__(self, root: Path, url: str, archive: str) -> None:
        self.keys = root / "pki"
        self.port = free_port()
        self.settings = root / "hub.toml"
        pki.init(self.keys)
        for node in ("hub", "client", "other"):
            pki.issue(self.keys, node)
        pki_cards.issue(self.keys, "card", Card(layout=Layout.CPS))
        pki_cards.issue(self.keys, "saml", Card(layout=Layout.SEAL, common_name="idp.bench.example"))
        (self.keys / "token.pem").write_bytes(new_signing_key("ES256"))
        everything = 'permissions = ["*"]'
        self.settings.write_text(
            f'sources = [{{ name = "{SOURCE}", kind = "dicomweb", config = {{ url = "{archive}" }} }}]\n'
            f'[region]\naffinity_domain = "{AFFINITY_DOMAIN}"\n'
            f'[storage]\ndatabase = "{url}"\ncontent = "{root / "data" / "content"}"\n'
            f"[web]\nport = {self.port}\n[health]\nport = 0\n[security]\nnode_authentication = false\n"
            f'[tls]\ncertificate = "{self.keys}/hub.crt"\nkey = "{self.keys}/hub.key"\nca = "{self.keys}/ca.crt"\n'
            f'[cards]\nauthorities = ["{self.keys}/ca.crt"]\n'
            f'[oauth]\nsigning_keys = ["{self.keys}/token.pem"]\nissuer = "{AUDIENCE}"\naudiences = ["{AUDIENCE}"]\n'
            f'unlisted_permissions = ["*"]\n[saml]\naudience = "{AUDIENCE}"\n'
            f'[[saml.issuers]]\nname = "idp"\nissuer = "{ISSUER}"\ncertificate = "{self.keys}/saml.crt"\n'
            f'[[clients]]\nname = "client"\ncertificate_sha256 = "{pki.fingerprint(self.keys / "client.crt")}"\n'
            f'{everything}\n[[clients]]\nname = "other"\ncertificate_subject = {{ CN = "other" }}\n{everything}\n'
        )
        self._key = signing_key((self.keys / "token.pem").read_bytes())
        self._saml = (self.keys / "saml.key").read_bytes(), (self.keys / "saml.crt").read_bytes()

    @contextmanager
    def running(self) -> Iterator[int]:
        """The process that answers."""
        command = [sys.executable, "-c", "from hub.app.commands.main import main; main()", "serve", "--role", "web"]
        with (self.settings.parent / "log").open("wb") as log:
            process = subprocess.Popen([*command, "--settings", str(self.settings)], stdout=log, stderr=log)
        try:
            end = time.monotonic() + 120
            while True:
                try:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                    break
                except OSError as error:
                    if process.poll() is not None or time.monotonic() > end:
                        raise RuntimeError((self.settings.parent / "log").read_text()[-2000:]) from error
                    time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()
            process.wait(60)

    def query(self, proof: Proof, bodies: Sequence[bytes]) -> Caller:
        """ITI-18 in turn about each."""
        fields = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{ACTION}"', **self._bearer(proof)}

        def requests() -> Iterator[Request]:
            for body in itertools.cycle(bodies):
                yield "POST", "/xds/registry", fields, self._with_header(body) if proof.saml else body

        return Caller(self._connection(proof), requests())

    def retrieve(self, proof: Proof, study: str) -> Caller:
        """WADO-RS of one study."""
        fields = {"Accept": ACCEPT, **self._bearer(proof)}

        def requests() -> Iterator[Request]:
            while True:
                told = {"Authorization": f"IHE-SAML {base64.b64encode(self.signed()).decode()}"} if proof.saml else {}
                yield "GET", f"/dicom-web/studies/{study}", {**fields, **told}, b""

        return Caller(self._connection(proof), requests())

    def _connection(self, proof: Proof) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.keys / "ca.crt")
        if proof.node:
            context.load_cert_chain(self.keys / f"{proof.node}.crt", self.keys / f"{proof.node}.key")
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)

    def _bearer(self, proof: Proof) -> dict[str, str]:
        if not proof.token:
            return {}
        at = int(time.time())
        claims = {"iss": AUDIENCE, "aud": AUDIENCE, "sub": "bench", "client_id": "bench", "jti": uuid.uuid4().hex}
        return {"Authorization": f"Bearer {jwt.write({**claims, 'iat': at, 'exp': at + 3600}, self._key)}"}

    def signed(self) -> bytes:
        """A new assertion of the doctor."""
        at = now()
        ends = at + timedelta(minutes=10)
        assertion = Assertion(
            id=new_id(),
            issuer=Name(ISSUER),
            subject=Name(DOCTOR),
            issued_at=at,
            authenticated_at=at,
            context_class="urn:oasis:names:tc:SAML:2.0:ac:classes:X509",
            not_before=at - timedelta(seconds=5),
            not_on_or_after=ends,
            audiences=(frozenset({AUDIENCE}),),
            confirmations=(Confirmation(not_on_or_after=ends),),
            attributes=(
                Attribute(names.SUBJECT_ID, ("MARTIN Anne",)),
                Attribute(names.ROLE, (Coded("10", "1.2.250.1.71.1.2.7"),)),
            ),
        )
        return issue(assertion, *self._saml)

    def _with_header(self, body: bytes) -> bytes:
        security = b'<wsse:Security xmlns:wsse="%b">%b</wsse:Security>' % (WSSE.encode(), self.signed())
        return _END.sub(lambda end: security + end[0], body, count=1)


def _verified(database: str, place: Place, count: int) -> Figure:
    """Each read, its signature verified, judged, and its use noted durably; within this process."""
    hub = Hub(load(place.settings))
    certificate = ssl.PEM_cert_to_DER_cert((place.keys / "client.crt").read_text())
    shown = [Credentials(certificate=certificate, saml=place.signed(), peer="127.0.0.1") for _ in range(count)]

    def work(first: int) -> None:
        for credentials in shown[first::THREADS]:
            if hub.access.authenticate(credentials).id != DOCTOR:
                raise RuntimeError("an assertion was not believed")

    threads = [threading.Thread(target=work, args=(first,)) for first in range(THREADS)]
    used, started = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = count / (time.perf_counter() - started)
    used = (time.process_time() - used) * 1000 / count
    hub.database.dispose()
    return Figure(
        "access", f"SAML assertions verified, {THREADS} threads, {database}", rate, "assertions/s",
        "RSA-2048 signatures alone, one thread", _signatures(place, count),
        note=f"each is good once: that it was used is on disk before anything is done for it; CPU: {used:.2f} ms each",
    )  # fmt: skip


def _signatures(place: Place, count: int) -> float:
    key = serialization.load_pem_private_key((place.keys / "saml.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature, public = key.sign(b"bench", padding.PKCS1v15(), hashes.SHA256()), key.public_key()
    started = time.perf_counter()
    for _ in range(count):
        public.verify(signature, b"bench", padding.PKCS1v15(), hashes.SHA256())
    return count / (time.perf_counter() - started)
