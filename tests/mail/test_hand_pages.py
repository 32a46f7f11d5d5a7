"""Letters by hand in the portal of a whole hub: the form, the look before it goes, what is refused, the trail."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from hub.access.model import HUB
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from hub.context import Context
from hub.documents.model import ProvideDocuments
from hub.mail.model import ListLetters
from hub.patients.model import FeedIdentity, Identity, IdentityStatus
from hub.portal.handles import Handles
from hub.portal.visit import SESSION_COOKIE
from hub.testing.cda import ImagingReport, build_report
from hub.values import Code
from tests.app.test_wiring import settings
from tests.documents.builders import content, entry, submit
from tests.imaging.living import TRAITS
from tests.mail.place import DOCTOR, INS, LOCAL
from tests.mail.test_hub import signed_in
from tests.portal.conftest import field

UNIQUE_ID, HIDDEN = "1.2.250.1.999.90.1", "1.2.250.1.999.90.2"
MASK = Code("INVISIBLE_PATIENT", "1.2.250.1.213.1.1.4.13", "Non visible par le patient")


@dataclass
class House:
    hub: Hub

    def document(self, client: httpx.Client, unique_id: str = UNIQUE_ID) -> str:
        """The path of a document's page, for the session of a client."""
        person = self.hub.patients.resolve(LOCAL)
        assert person is not None
        repository = self.hub.settings.region.repository_unique_id
        handles = Handles(client.cookies[SESSION_COOKIE])
        return "/portal/document/" + handles.seal("document", repository, unique_id, person.value, person.authority)

    def number(self) -> tuple[str, str]:
        """Of the person, in the region."""
        person = self.hub.patients.resolve(LOCAL)
        assert person is not None
        return person.value, person.authority

    def person(self, client: httpx.Client) -> str:
        """The path of the person's page, for the session of a client."""
        return "/portal/person/" + Handles(client.cookies[SESSION_COOKIE]).seal("person", *self.number())

    def letter(self, client: httpx.Client, document: str) -> str:
        """The path of a document's letter."""
        answer = client.get(f"{document}/mail")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def letters(self) -> list[tuple[str, str]]:
        context = Context(principal=HUB)
        found = self.hub.dispatch.handlers[ListLetters](ListLetters(), context)
        return [(item.kind.value, item.author) for item in found.letters]

    def named(self, transaction: str) -> list[set[str]]:
        """The documents that each record names."""
        self.hub.audit.flush()
        found = self.hub.audit.search(AuditSearch(transaction=transaction)).records
        return [{item.reference for item in record.objects if item.kind == "document"} for record in found]

    def audited(self, transaction: str) -> list[str]:
        self.hub.audit.flush()
        return [item.outcome.value for item in self.hub.audit.search(AuditSearch(transaction=transaction)).records]


def furnish(hub: Hub, *codes: Code, unique_id: str = UNIQUE_ID) -> None:
    """A person with a report."""
    context = Context(principal=HUB)
    identity = Identity(LOCAL, TRAITS, IdentityStatus.VALIDATED, ins=INS)
    person = hub.patients.feed(FeedIdentity(identity), context).regional
    report = build_report(
        ImagingReport(
            patient_ids=(LOCAL,), traits=TRAITS, study_instance_uid="1.2.3.4", accession_number="ACC-1",
            placer_number="ORD-1", document_id=unique_id, title=f"Report {unique_id}",
        )
    )  # fmt: skip
    given = entry(
        person, unique_id=unique_id, mime_type="text/xml", hash="", size=None, repository_unique_id="",
        title=f"Report {unique_id}",
    )  # fmt: skip
    given = replace(given, confidentiality_codes=(*given.confidentiality_codes, *codes))
    submission = submit(given, patient=person)
    file = content(hub.content, given.id, report)
    hub.documents.provide(ProvideDocuments(submission, (file,)), context)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    users = [
        {"login": name, "name": f"Dr {name}", "roles": [role],
         "password_argon2": PasswordHasher().hash("secret-of-" + name)}
        for name, role in (("op", "operator"), ("dr", "clinician"))
    ]  # fmt: skip
    mail = {"server": {"host": "127.0.0.1", "port": 1, "security": "none"}, "address": "hub@chu.mssante.fr"}
    authority = {"namespace": LOCAL.namespace, "oid": LOCAL.authority}
    made = Hub(settings(tmp_path, mail=mail, users=users, authorities=[authority]))
    made.start({Role.WEB})
    try:
        furnish(made)
        furnish(made, MASK, unique_id=HIDDEN)
        yield House(made)
    finally:
        made.stop()


def test_a_letter_is_written_looked_at_and_sent(house: House) -> None:
    with closing(signed_in(house.hub, "dr")) as client:
        path = house.document(client)
        page = client.get(path)
        assert f'href="{path}/mail"' in page.text
        letter = house.letter(client, path)
        form = client.get(letter)
        assert "has been mailed yet" in form.text
        typed = {
            "csrf": field(form.text, "csrf"), "recipients": f"{DOCTOR}, {DOCTOR}", "to_patient": "1",
            "text": "Chère consœur,\r\n<b>bonjour</b>", "tell_delivery": "1",
        }  # fmt: skip
        look = client.post(letter, data=typed)
        assert look.status_code == 200
        assert "Send this letter?" in look.text
        assert DOCTOR in look.text
        assert "The patient" in look.text
        assert "&lt;b&gt;bonjour&lt;/b&gt;" in look.text
        assert f"{INS.value}@" not in look.text
        assert house.letters() == []
        once = {"once": field(look.text, "once"), "confirmed": "1"}
        for _ in range(2):
            answer = client.post(letter, data={**typed, **once})
            assert answer.headers["location"] == f"{letter}?sent=1"
        assert sorted(house.letters()) == [("patient", "Dr dr"), ("professional", "Dr dr")]
        after = client.get(f"{letter}?sent=1").text
        assert "on its way" in after
        assert "Waiting" in after or "waiting" in after
        back = client.post(letter, data={**typed, "back": "1"})
        assert f'value="{DOCTOR}, {DOCTOR}"' in back.text
    assert house.audited("PORTAL-LETTER-SEND") == ["0", "0"]


def test_what_is_refused_says_so_and_nothing_goes(house: House) -> None:
    with closing(signed_in(house.hub, "dr")) as client:
        path = house.letter(client, house.document(client))
        hidden = house.letter(client, house.document(client, HIDDEN))
        csrf = field(client.get(path).text, "csrf")
        for where, typed, words in (
            (path, {}, "to whom the letter goes"),
            (path, {"recipients": "someone@example.org"}, "not that of a professional"),
            (path, {"recipients": f"{INS.value}@patient.mssante.fr"}, "not typed: tick it"),
            (hidden, {"to_patient": "1"}, "hidden from those"),
        ):
            for confirmed in ("", "1"):
                data = {"csrf": csrf, "once": "x", "confirmed": confirmed, **typed}
                answer = client.post(where, data=data)
                assert answer.status_code == 400
                assert words in answer.text
        assert client.post(path, data={"recipients": DOCTOR, "confirmed": "1"}).status_code == 403
    assert house.letters() == []
    assert len(house.audited("PORTAL-LETTER-SEND")) == 4
    assert "0" not in house.audited("PORTAL-LETTER-SEND")
    with closing(signed_in(house.hub, "op")) as operator:
        assert operator.get(path).status_code in (403, 404)


def boxes(page: str) -> list[tuple[str, bool]]:
    """The boxes of a person's page: name, whether it is ticked."""
    found = re.findall(r'<input type="checkbox" form="letter" name="(pick:[^"]+)" value="1"( checked)?>', page)
    return [(name, bool(ticked)) for name, ticked in found]


def test_several_are_chosen_on_the_persons_page(house: House) -> None:
    with closing(signed_in(house.hub, "dr")) as client:
        page = client.get(house.person(client)).text
        names = [name for name, _ in boxes(page)]
        assert len(names) == 2
        assert not any(ticked for _, ticked in boxes(page))
        action = re.search(r'<form id="letter"[^>]* action="([^"]+)"', page)
        assert action is not None
        data = {"csrf": field(page, "csrf"), **dict.fromkeys(names, "1")}
        answer = client.post(action[1], data=data)
        assert answer.status_code == 303
        letter = answer.headers["location"]
        form = client.get(letter).text
        assert "2 documents enclosed" in form
        assert form.index("Report 1.2.250.1.999.90.1") < form.index("has been mailed yet")
        again = client.get(f"{letter}/documents").text
        assert [ticked for _, ticked in boxes(again)] == [True, True]
        typed = {"csrf": field(form, "csrf"), "recipients": DOCTOR, "tell_delivery": "1"}
        look = client.post(letter, data=typed)
        for unique_id in (UNIQUE_ID, HIDDEN):
            assert f"Report {unique_id}</a>" in look.text
        once = {"once": field(look.text, "once"), "confirmed": "1"}
        assert client.post(letter, data={**typed, **once}).headers["location"] == f"{letter}?sent=1"
        assert house.letters() == [("professional", "Dr dr")]
        after = client.get(f"{letter}?sent=1").text
        assert after.count("Report 1.2.250.1.999.90.1") == 2  # enclosed, and in the letter
        assert house.named("PORTAL-LETTER-SEND") == [{UNIQUE_ID, HIDDEN}]


def test_all_or_none_and_which_can_not_go_is_said(house: House) -> None:
    with closing(signed_in(house.hub, "dr")) as client:
        page = client.get(house.person(client)).text
        action = f"{house.person(client)}/letter"
        csrf = {"csrf": field(page, "csrf")}
        ticked = {name: "1" for name, _ in boxes(page)}
        letter = client.post(action, data={**csrf, **ticked}).headers["location"]
        answer = client.post(letter, data={**csrf, "to_patient": "1", "recipients": DOCTOR, "confirmed": "1"})
        assert answer.status_code == 400
        alert = answer.text[answer.text.index('role="alert"') : answer.text.index("enclosed-title")]
        assert "Not visible to the patient" in alert
        assert f"Report {HIDDEN}" in alert
        assert f"Report {UNIQUE_ID}" not in alert
        assert house.letters() == []
        assert house.named("PORTAL-LETTER-SEND") == [{UNIQUE_ID, HIDDEN}]
        assert "0" not in house.audited("PORTAL-LETTER-SEND")

        none = client.post(action, data=csrf)
        assert (none.status_code, "No document was chosen" in none.text) == (400, True)
        handles = Handles(client.cookies[SESSION_COOKIE])
        many = {f"pick:{handles.seal('document', 'r', f'1.2.{number}', *house.number())}": "1" for number in range(60)}
        full = client.post(action, data={**csrf, **many, **ticked})
        assert (full.status_code, "20 documents at most" in full.text) == (400, True)
        assert [is_ticked for _, is_ticked in boxes(full.text)] == [True, True]
        gone = handles.seal("letter", *house.number(), UNIQUE_ID, "1.2.3.4")
        longest = handles.seal("letter", *house.number(), UNIQUE_ID, *(f"1.2.3{'9' * 57}{n:02}" for n in range(19)))
        for answer in (
            client.get(f"/portal/letter/{longest}"),
            client.get(f"/portal/letter/{gone}"),
            client.post(f"/portal/letter/{gone}", data={**csrf, "recipients": DOCTOR}),
            client.post(f"/portal/letter/{gone}", data={**csrf, "recipients": DOCTOR, "confirmed": "1"}),
        ):
            assert answer.status_code == 404
            assert "not there any more" in answer.text
            assert sorted(is_ticked for _, is_ticked in boxes(answer.text)) == [False, True]
    assert house.letters() == []


def test_what_did_not_come_from_the_page_is_refused(house: House) -> None:
    with closing(signed_in(house.hub, "dr")) as client, closing(signed_in(house.hub, "dr")) as other:
        page, action = client.get(house.person(client)).text, f"{house.person(client)}/letter"
        ticked = {name: "1" for name, _ in boxes(page)}
        csrf = {"csrf": field(page, "csrf")}
        letter = client.post(action, data={**csrf, **ticked}).headers["location"]
        for where in (action, letter):
            assert client.post(where, data={**ticked, "recipients": DOCTOR, "confirmed": "1"}).status_code == 403
            foreign = {"csrf": field(other.get(house.person(other)).text, "csrf")}
            assert client.post(where, data={**foreign, **ticked}).status_code == 403
        assert house.audited("PORTAL-FORGED") == [house.audited("PORTAL-FORGED")[0]] * 4
        assert other.get(letter).status_code == 404
        strange = Handles(client.cookies[SESSION_COOKIE]).seal("document", "r", UNIQUE_ID, "another", "1.2.3")
        for name in (f"pick:{strange}", "pick:x", boxes(other.get(house.person(other)).text)[0][0]):
            assert client.post(action, data={**csrf, name: "1"}).status_code == 404
    with closing(signed_in(house.hub, "op")) as operator:
        csrf = {"csrf": field(operator.get("/portal/operator/mail").text, "csrf")}
        own = house.person(operator)
        document = Handles(operator.cookies[SESSION_COOKIE]).seal("letter", *house.number(), UNIQUE_ID)
        assert operator.get(f"/portal/letter/{document}").status_code in (403, 404)
        assert operator.post(f"/portal/letter/{document}", data={**csrf, "confirmed": "1"}).status_code in (403, 404)
        assert operator.post(f"{own}/letter", data=csrf).status_code in (400, 403, 404)
    assert house.letters() == []
