"""XUA and VIHF between programs that are not the hub's: zeep sends what signxml signed; a hub asks another hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
from lxml import etree
from signxml.verifier import XMLVerifier
from zeep.transports import Transport
from zeep.wsse.utils import get_security_header

from hub.access.model import Principal, Professional, Scheme
from hub.app.doors.assertion_issuer import AssertionIssuer
from hub.app.settings.model import Region, Settings
from hub.app.settings.nodes import Tls
from hub.app.settings.saml import Saml
from hub.app.settings.sharing import Community
from hub.app.sharing.communities import clients
from hub.documents.model import StoredQuery
from hub.errors import Misconfigured
from hub.wire.ebxml.names import SUCCESS
from hub.wire.saml.names import saml
from hub.wire.soap.client import spool_to
from hub.wire.soap.message import Limits
from hub.wire.soap.writing import build_envelope
from tests.hostile.saml_hub import AUDIENCE, ORGANISATION, Believing, believing, fault
from tests.interop.by_hand import GET_DOCUMENTS, envelope
from tests.saml import PURPOSE, RESOURCE, ROLE, SUBJECT_ID, Draft, KeyPair, coded, header, pair, sign, text
from tests.wire.ebxml.schemas import wsdl_directory

pytestmark = pytest.mark.interop
DOCTOR = Professional("899700000001", "MARTIN", "Anne", "10", structure="1750100125", structure_name="CH A")
USER = Principal(
    "899700000001",
    "Dr Anne MARTIN",
    Scheme.PROVIDER,
    person=True,
    professional=DOCTOR,
    purpose="bris_de_glace",
    reason="Inconscient",
)
STAMP_NAME = ",".join(reversed(ORGANISATION.split(",")))
G15, R248 = "1.2.250.1.71.1.2.7", "1.2.250.1.213.1.1.4.248"
SUBMIT = envelope("urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", "<x/>")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Believing]:
    with believing(tmp_path_factory.mktemp("xua")) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(box: Believing) -> None:
    box.forget()


class Assertion:
    """What zeep calls to put its security header on: its own ``wsse`` interface."""

    def __init__(self, signed: bytes) -> None:
        self.signed = signed

    def apply(self, message: Any, headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
        get_security_header(message).append(etree.fromstring(self.signed))
        return message, headers

    def verify(self, message: Any) -> Any:
        return message


def zeep_asks(box: Believing, signed: bytes) -> Any:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(box.directory / "ca.crt")
    session.cert = (str(box.directory / "a.crt"), str(box.directory / "a.key"))
    client = zeep.Client(
        str(wsdl_directory() / "iti18.wsdl"),
        transport=Transport(session=session, timeout=60, operation_timeout=60),
        settings=zeep.Settings(strict=False),
        wsse=Assertion(signed),
    )
    (binding,) = client.wsdl.bindings
    registry = client.create_service(binding, f"{box.hub.public_url()}/xds/registry")
    return registry.DocumentRegistry_RegistryStoredQuery(
        ResponseOption={"returnType": "LeafClass", "returnComposedObjects": True},
        AdhocQuery={
            "id": GET_DOCUMENTS,
            "Slot": [{"name": "$XDSDocumentEntryUniqueId", "ValueList": {"_value_1": [{"Value": "('1.2')"}]}}],
        },
    )


def test_zeep_with_an_assertion_that_signxml_signed(box: Believing) -> None:
    purpose = coded(PURPOSE, "PurposeOfUse", "EMERGENCY", "2.16.840.1.113883.3.18.7.1")
    attributes = (
        Draft("", "").attributes
        + purpose
        + text("urn:oasis:names:tc:xspa:1.0:subject:organization", "CH B")
        + text("urn:ihe:iti:bppc:2007:docid", "urn:oid:1.2.3")
        + text("urn:ihe:iti:xua:2012:acp", "urn:oid:1.2.4")
    )
    assert zeep_asks(box, sign(box.draft(attributes=attributes).xml, box.idp)).status == SUCCESS
    (record,) = box.records()
    assert (record.principal_id, record.principal_name, record.node) == ("899700000001", "MARTIN Anne", "a")
    assert (record.professional and record.professional.profession) == "10"
    assert record.purpose == "bris_de_glace"


def test_zeep_is_told_why_it_is_refused(box: Believing) -> None:
    with pytest.raises(zeep.exceptions.Fault, match="meant for another audience") as caught:
        zeep_asks(box, sign(box.draft(audience="https://other").xml, box.idp))
    assert next(str(code) for code in caught.value.subcodes).endswith("InvalidSecurityToken")


# VIHF


def the_vihf(box: Believing, mode: str, *, by: KeyPair | None = None, role: str = "10", **changes: Any) -> bytes:
    """As a French workstation writes it: no conditions, no confirmation, codes of the French tables."""
    attributes = (
        text("VIHF_Version", "3.0")
        + text("Identifiant_Structure", "1690000001")
        + text("Secteur_Activite", "SA07^1.2.250.1.71.4.2.4")
        + text(SUBJECT_ID, "MARTIN Anne")
        + coded(ROLE, "Role", role, G15)
        + text("Authentification_mode", mode)
        + text(RESOURCE, "279035121518989^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH")
        + text("Ressource_URN", "urn:dmp")
        + coded(PURPOSE, "PurposeOfUse", "normal", R248)
        + text("LPS_Nom", "Poste")
    )
    draft = Draft(
        **{
            "issuer": STAMP_NAME,
            "audience": "",
            "confirmation": "",
            "starts": None,
            "ends": None,
            "attributes": attributes,
            **changes,
        }
    )
    return sign(draft.xml, by or box.stamp)


@pytest.mark.parametrize("mode", ["DIRECTE", "INDIRECTE", "INDIRECTE_RENFORCEE"])
def test_a_vihf_in_its_modes(box: Believing, mode: str) -> None:
    """Indirect: nothing is read. Direct: the card itself must have signed."""
    answer = box.ask(header(the_vihf(box, mode)))
    (record,) = box.records()
    if mode == "INDIRECTE_RENFORCEE":
        assert answer.status_code == 200, answer.text
        assert record.professional is not None
        assert record.professional.structure == "1690000001"
    elif mode == "INDIRECTE":
        assert answer.status_code == 403
        assert "documents.query is needed" in record.detail
    else:
        assert answer.status_code == 401
        assert "not signed with the card of who it speaks for" in fault(answer)[1]


def test_a_vihf_signed_by_the_card(box: Believing) -> None:
    card = pair(subject="C=FR,OU=1690000001,CN=899700000001", number=7, by=box.authority)
    name = "CN=899700000001,OU=1690000001,C=FR"
    answer = box.ask(header(the_vihf(box, "DIRECTE", by=card, issuer=name)))
    assert answer.status_code == 200, answer.text


def test_a_profession_that_no_table_knows_may_do_nothing(box: Believing) -> None:
    assert box.ask(header(the_vihf(box, "INDIRECTE_RENFORCEE", role="9999"))).status_code == 403


def test_a_vihf_that_lacks_something(box: Believing) -> None:
    answer = box.ask(header(the_vihf(box, "DIRECTE", attributes=text("VIHF_Version", "3.0"))))
    assert fault(answer)[1].startswith("igc: the assertion lacks Identifiant_Structure")


def test_an_old_vihf(box: Believing) -> None:
    answer = box.ask(header(the_vihf(box, "INDIRECTE_RENFORCEE", issued=-4000)))
    assert "expired" in fault(answer)[1]


def test_the_user_may_do_no_more_than_the_system(box: Believing) -> None:
    """A doctor may order images; the system that transmits may not."""
    principal = box.hub.access.authenticate(box.credentials("a", the_vihf(box, "INDIRECTE_RENFORCEE")))
    assert principal.permissions == {
        "documents.query",
        "documents.retrieve",
        "documents.submit",
        "patients.query",
        "imaging.query",
    }
    assert principal.about == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO"
    assert (principal.level, principal.vouched_by) == ("INDIRECTE_RENFORCEE", "igc")


# The hub asks others


def settings_of_another(box: Believing, keys: KeyPair, audience: str = AUDIENCE) -> Settings:
    keys.written(box.directory, "asker")
    community = Community(
        name="REGION_2",
        home_community_id="1.2.250.1.999.1.3",
        query_url=f"{box.hub.public_url()}/xca/responding",
        assertion="xua",
        audience=audience,
    )
    return Settings(
        region=Region(home_community_id="1.2.250.1.999.8.3"),
        communities=(community,),
        saml=Saml(
            issuer="https://idp.example/saml", key=box.directory / "asker.key", certificate=box.directory / "asker.crt"
        ),
        tls=Tls(
            certificate=box.directory / "speaking.crt", key=box.directory / "speaking.key", ca=box.directory / "ca.crt"
        ),
    )


def test_a_hub_asks_another_for_its_user(box: Believing, tmp_path: Path) -> None:
    """The other one asks every caller for an assertion, and believes this hub's key."""
    settings = settings_of_another(box, box.idp)
    ((_, community),) = clients(settings, spool_to(tmp_path), Limits())
    name = "$XDSDocumentEntryUniqueId"
    asked = {name: (("1.2",),)}
    question = StoredQuery(GET_DOCUMENTS, asked, home="urn:oid:1.2.250.1.999.1.3", lists=frozenset({name}))
    answer = community.on_behalf(USER).query(question)
    assert answer.answered
    (record,) = box.records()
    assert (record.transaction, record.principal_id, record.node) == ("ITI-38", "899700000001", "speaking")
    assert record.purpose == "bris_de_glace"
    community.close()


def test_signxml_verifies_what_the_hub_sends(box: Believing) -> None:
    for keys in (box.idp, pair(kind="ecdsa", number=5)):
        issuer = AssertionIssuer(settings_of_another(box, keys))
        sent = build_envelope(etree.Element("x"), "urn:x", security=issuer.header(USER, AUDIENCE))
        received = etree.fromstring(etree.tostring(sent))
        assertion = next(received.iter(saml("Assertion")))
        alone = etree.fromstring(etree.tostring(assertion))
        XMLVerifier().verify(alone, x509_cert=keys.pem.decode(), id_attribute="ID")


def test_a_hub_without_a_key_does_not_start_to_ask(box: Believing, tmp_path: Path) -> None:
    settings = settings_of_another(box, box.idp).model_copy(update={"saml": Saml()})
    with pytest.raises(Misconfigured, match=r"saml\.key"):
        clients(settings, spool_to(tmp_path), Limits())
