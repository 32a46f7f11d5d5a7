"""The sandbox as a process: what it prints, how one gets in, what is left of it."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub.app.sandbox.hub import Options, Sandbox, SandboxOption, parse_community, parse_source, read_authorities
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.sandbox import SandboxProcess
from hub.wire.hl7v2.client import MllpClient

KEYS = {
    "xds_registry", "xds_repository", "xds_imaging", "xca_responding", "xca_initiating", "fhir", "dicomweb", "portal",
    "xcpd_responding", "pixv3", "pdqv3", "dsub_broker", "dsub_pullpoints",
    "mllp", "dimse", "affinity_domain", "repository_unique_id", "home_community_id", "authorities", "token",
    "client_cert", "client_key", "ca", "portal_user", "portal_password",
    "ca_key", "crl", "saml", "token_key", "token_issuer", "token_audience", "token_endpoint", "audit",
    "client_id", "client_jwk", "database",
}  # fmt: skip
TRAITS = Traits(birth_name="TEST", birth_given="ANNE", given_names="ANNE", birth_date="19800101", sex="F")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    authorities = tmp_path_factory.mktemp("authorities") / "authorities.json"
    authorities.write_text(
        json.dumps([{"namespace": "A", "oid": "1.2.3", "type": "PI", "application": "HIS_A", "facility": "HOSP_A"}])
    )
    with SandboxProcess(
        "--authorities", str(authorities), "--affinity-domain", "1.2.9", "--affinity-domain", "1.2.10",
        "--repository-id", "1.2.11", "--home-community", "1.2.12", "--source", "PACS=dimse:AET@127.0.0.1:9",
    ) as box:  # fmt: skip
        yield box


@pytest.fixture(scope="module")
def opened() -> Iterator[SandboxProcess]:
    with SandboxProcess("--open") as box:
        yield box


def test_the_description(secure: SandboxProcess, opened: SandboxProcess) -> None:
    assert set(secure.description) == set(opened.description) == KEYS
    assert secure["authorities"] == [
        {"namespace": "A", "oid": "1.2.3", "type": "PI", "application": "HIS_A", "facility": "HOSP_A"}
    ]
    assert opened["authorities"] == []
    wanted = {"affinity_domain": "1.2.9", "repository_unique_id": "1.2.11", "home_community_id": "1.2.12"}
    assert {key: secure[key] for key in wanted} == wanted
    assert secure["fhir"].startswith("https://127.0.0.1:")
    assert opened["fhir"].startswith("http://127.0.0.1:")
    assert not opened["dimse"].endswith(":0")


def test_token_certificate_or_nothing(secure: SandboxProcess, opened: SandboxProcess) -> None:
    place = "/studies?limit=1"
    with secure.client(token=True) as client:
        assert client.get(secure["dicomweb"] + place).status_code < 300
    with secure.client(token=False, certificate=True) as client:
        assert client.get(secure["dicomweb"] + place).status_code < 300
    with secure.client(token=False) as client:
        assert client.get(secure["dicomweb"] + place).status_code == 401
    assert httpx.get(opened["dicomweb"] + place).status_code < 300


def test_the_portal_lets_the_user_in(opened: SandboxProcess) -> None:
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.get(opened["portal"]).status_code == 200
        assert browser.get(opened["portal"]).url.path.endswith("/sign-in")


def test_a_feed_is_taken_and_answers_the_next_question(opened: SandboxProcess) -> None:
    host, _, port = opened["mllp"].rpartition(":")
    sender = hl7.Sender(application="HIS_A", facility="HOSP_A")
    patient = hl7.Patient(identifier=hl7.local("1", "SITE_A", "1.2.3.4"), traits=TRAITS)
    with MllpClient(host, int(port)) as client:
        assert b"MSA|AA|" in client.send(hl7.adt(sender, patient, "A28"))
        assert opened["affinity_domain"].encode() in client.send(hl7.pix_query(sender, patient.identifier))


def found_by_match(box: SandboxProcess) -> list[float]:
    """Feed a person, then ask for her with another letter in her name: the scores of who is found."""
    host, _, port = box["mllp"].rpartition(":")
    traits = Traits(
        birth_name="KERVADEC", birth_given="SOLENN", given_names="SOLENN", birth_date="19740523", sex="F",
        birth_place="29019",
    )  # fmt: skip
    patient = hl7.Patient(identifier=hl7.local("M1", "SITE_M", "1.2.3.9"), traits=traits)
    with MllpClient(host, int(port)) as client:
        assert b"MSA|AA|" in client.send(hl7.adt(hl7.Sender(application="HIS_M", facility="M"), patient, "A28"))
    asked = {
        "resourceType": "Patient",
        "name": [{"use": "official", "family": "KERVADEK", "given": ["SOLENN"]}],
        "birthDate": "1974-05-23",
        "gender": "female",
    }
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": asked}]}
    answer = httpx.post(f"{box['fhir']}/Patient/$match", json=parameters, timeout=30).raise_for_status().json()
    found = [entry for entry in answer.get("entry", []) if entry["resource"]["resourceType"] == "Patient"]
    return [entry["search"]["score"] for entry in found]


def test_a_misspelt_name_is_found_by_score_only(opened: SandboxProcess) -> None:
    assert found_by_match(opened) == []
    with SandboxProcess("--open", "--matching") as box:
        assert len(found_by_match(box)) == 1


def test_its_client_may_feed_every_authority_where_nothing_names_the_sender(secure: SandboxProcess) -> None:
    number = {"system": "urn:oid:1.2.3", "value": "F1"}
    told = {"resourceType": "Patient", "identifier": [number], "name": [{"family": "TEST", "given": ["ANNE"]}]}
    with secure.client(token=True) as client:
        place = f"{secure['fhir']}/Patient"
        done = client.put(place, params={"identifier": "urn:oid:1.2.3|F1"}, json=told)
        assert done.status_code == 201
        other = client.put(place, params={"identifier": "urn:oid:1.2.4|F1"}, json=told | {"identifier": []})
        assert other.status_code == 400


def test_everything_is_ready(opened: SandboxProcess) -> None:
    root = opened["portal"].removesuffix("/portal")
    assert httpx.get(f"{root}/health/ready").json() == {
        "status": "ready",
        "checks": dict.fromkeys(("database", "migrations", "disk", "audit", "worker", "mllp", "dimse"), "ok"),
    }
    assert "maillage_inbox_messages" in httpx.get(f"{root}/metrics").text


def test_nothing_is_left_of_it() -> None:
    box = SandboxProcess("--open").start()
    data = Path(box["ca"]).parents[1]
    assert data.exists()
    assert box.stop() == 0, box.log
    assert not data.exists()
    assert box.process.returncode != -signal.SIGKILL


def test_data_that_is_named_is_kept(tmp_path: Path) -> None:
    with SandboxProcess("--open", "--data", str(tmp_path / "kept")) as box:
        assert box["ca"].startswith(str(tmp_path))
    assert (tmp_path / "kept" / "hub.sqlite").exists()
    assert not list((tmp_path / "kept" / "content" / "series").iterdir())


@pytest.mark.parametrize("text", ["PACS", "PACS=dicomweb:ftp://x", "PACS=dimse:AET@host", "=dimse:A@h:1", "P=s3:x"])
def test_sources_that_can_not_be_read(text: str) -> None:
    with pytest.raises(SandboxOption):
        parse_source(text)


@pytest.mark.parametrize("text", ["NORTH", "NORTH=1.2.3", "NORTH=x@http://h", "NORTH=1.2.3@h", "=@"])
def test_communities_that_can_not_be_read(text: str) -> None:
    with pytest.raises(SandboxOption):
        parse_community(text)


def test_a_community_is_asked_at_its_gateway() -> None:
    community = parse_community("NORTH=1.2.3@https://north.example:8443/")
    assert (community.name, community.home_community_id) == ("NORTH", "1.2.3")
    assert community.query_url == "https://north.example:8443/xca/responding"


def test_a_dimse_source_is_a_destination_too() -> None:
    source, destinations = parse_source("PACS_B=dimse:ORTHANC@10.0.0.1:4242")
    assert source.config == {"host": "10.0.0.1", "port": 4242, "ae_title": "ORTHANC"}
    assert destinations == [("ORTHANC", "10.0.0.1:4242")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not readable JSON"),
        ("{}", "must hold a JSON list"),
        ('[{"namespace": "A"}]', "[0].oid: is required"),
        ('[{"namespace": "A", "oid": "x"}]', "[0].oid: An OID must be"),
        ('[{"namespace": "A", "oid": "1.2.3", "typ": "PI"}]', "did you mean type?"),
    ],
)
def test_authorities_that_can_not_be_read(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "authorities.json"
    file.write_text(text)
    with pytest.raises(SandboxOption, match=re.escape(said)):
        read_authorities(file)
    with pytest.raises(SandboxOption, match="No such file"):
        read_authorities(tmp_path / "elsewhere.json")


@pytest.mark.parametrize("source", ["A=dimse:AN_AE_TITLE_TOO_LONG@h:104", "A=dimse:X@h:99999"])
def test_a_wrong_dimse_source_is_told_by_its_option(source: str) -> None:
    with pytest.raises(SandboxOption) as refused:
        Sandbox(Options(sources=(source,)))
    assert refused.value.location == "--source"
