"""RAD-106: links from other systems, their parameters, and where they lead."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from hub.context import Context
from hub.errors import HubError
from hub.imaging.errors import UnknownStudy
from hub.imaging.model import FindStudies, StudyAnswer
from hub.values import PatientIdentifier
from hub.wire.http import HttpRequest
from hub.wire.invoke import display_of
from profiles.iid import rad106_invoke_image_display as iid
from tests.portal.conftest import Server, field, sign_in
from tests.portal.fake import PASSWORDS
from tests.portal.made_up import CT, MARTIN, MR
from tests.portal.test_pages import SignedIn

UID = CT.study.study_instance_uid


def message(**given: str) -> HttpRequest:
    return HttpRequest("GET", "/IHEInvokeImageDisplay", query=tuple(given.items()))


def link(**given: str) -> str:
    return f"/IHEInvokeImageDisplay?{urlencode(given)}"


def test_studies_by_uid_and_by_accession() -> None:
    found = iid.decode(message(requestType="STUDY", studyUID="1.2,1.3", viewerType="IHE_BIR"), Context())
    assert found == FindStudies(study_instance_uids=("1.2", "1.3"), live=True, limit=50)
    assert iid.decode(message(requestType="STUDY", accessionNumber="A1"), Context()).accession_number == "A1"


def test_a_patients_studies() -> None:
    found = iid.decode(
        message(
            requestType="PATIENT", patientID="7^^^&1.2.3&ISO", mostRecentResults="3", modalitiesInStudy="CT,MR",
            lowerDateTime="2024-01-01T00:00:00Z", upperDateTime="2024-12-31", patientBirthDate="1956-05-12",
            keyImagesOnly="false", unknown="x",
        ),
        Context(),
    )  # fmt: skip
    assert found.person == PatientIdentifier("7", "1.2.3")
    assert (found.modalities, found.started_from, found.started_to) == (("CT", "MR"), "20240101", "20241231")
    assert found.patient_birth_date == "19560512"


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ({}, "requestType"),
        ({"requestType": "SERIES"}, "requestType"),
        ({"requestType": "STUDY"}, "studyUID"),
        ({"requestType": "STUDY", "studyUID": "1.2", "accessionNumber": "A"}, "studyUID"),
        ({"requestType": "STUDY", "studyUID": "1..2"}, "studyUID"),
        ({"requestType": "STUDY", "accessionNumber": "A,B"}, "accessionNumber"),
        ({"requestType": "PATIENT"}, "patientID"),
        ({"requestType": "PATIENT", "patientID": "^^^&1.2&ISO"}, "patientID"),
        ({"requestType": "PATIENT", "patientID": "1", "mostRecentResults": "0"}, "mostRecentResults"),
        ({"requestType": "PATIENT", "patientID": "1", "lowerDateTime": "yesterday"}, "lowerDateTime"),
        ({"requestType": "PATIENT", "patientID": "1", "upperDateTime": "2024"}, "upperDateTime"),
        ({"requestType": "PATIENT", "patientID": "1", "modalitiesInStudy": "ct;mr"}, "modalitiesInStudy"),
        ({"requestType": "PATIENT", "patientID": "1", "patientBirthDate": "x"}, "patientBirthDate"),
        ({"requestType": "PATIENT", "patientID": "1", "keyImagesOnly": "yes"}, "keyImagesOnly"),
        ({"requestType": "PATIENT", "patientID": "1", "diagnosticQuality": ""}, "diagnosticQuality"),
        ({"requestType": "PATIENT", "patientID": "1", "viewerType": ""}, "viewerType"),
        ({"requestType": "STUDY", "studyUID": "1.2", "viewerType": "FOO"}, "viewerType"),
        ({"requestType": "STUDY", "studyUID": "1.2", "viewerType": "ihe_bir"}, "viewerType"),
    ],
)
def test_parameters_that_are_refused(given: dict[str, str], location: str) -> None:
    with pytest.raises(HubError) as caught:
        iid.decode(message(**given), Context())
    assert caught.value.location == location


def test_nothing_is_shown_silently_short() -> None:
    asked = message(requestType="STUDY", studyUID=f"{UID},1.2.3")
    with pytest.raises(UnknownStudy):
        display_of(StudyAnswer((CT,)), asked)
    most = display_of(StudyAnswer((MR, CT)), message(requestType="PATIENT", patientID="1", mostRecentResults="1"))
    assert [item.study.started for item in most.studies] == [max(CT.study.started, MR.study.started)]


def test_a_link_leads_to_the_study_after_the_sign_in(server: Server, client: httpx.Client) -> None:
    form = client.get(link(requestType="STUDY", studyUID=UID))
    assert (form.status_code, field(form.text, "target").startswith("/IHEInvokeImageDisplay?")) == (200, True)
    target = field(form.text, "target").replace("&amp;", "&")
    data = {"csrf": field(form.text, "csrf"), "login": "claire", "target": target}
    again = client.post("/portal/sign-in", data=data | {"password": "wrong"})
    assert field(again.text, "target").replace("&amp;", "&") == target
    page = client.post("/portal/sign-in", data=data | {"password": PASSWORDS["claire"]}, follow_redirects=True)
    assert page.status_code == 200
    assert page.url.path.startswith("/portal/study/")
    assert "TDM thoracique" in page.text
    told = [(record.transaction, record.error_code) for record in server.hub.audit.records]
    assert ("RAD-106", "not-authenticated") in told
    assert ("RAD-106", "") in told


def test_no_link_leads_elsewhere(client: httpx.Client) -> None:
    form = client.get("/portal/sign-in")
    data = {"csrf": field(form.text, "csrf"), "login": "claire", "password": PASSWORDS["claire"]}
    answer = client.post("/portal/sign-in", data=data | {"target": "https://evil.example/IHEInvokeImageDisplay?"})
    assert answer.headers["location"] == "/portal/search"


def test_a_patients_list_and_the_viewer(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("claire")
    number = MARTIN.regional.cx
    listed = client.get(link(requestType="PATIENT", patientID=number))
    assert listed.headers["location"].startswith("/portal/person/")
    assert MARTIN.regional.value not in listed.headers["location"]
    assert client.get(listed.headers["location"]).status_code == 200
    settings: Any = server.hub.settings
    settings.viewer = Path("build")
    shown = client.get(link(requestType="PATIENT", patientID=number, mostRecentResults="1"))
    assert shown.headers["location"].startswith("/ohif/viewer?StudyInstanceUIDs=")
    assert "," not in shown.headers["location"]


def test_errors_have_the_status_of_the_standard(signed_in: SignedIn) -> None:
    client = signed_in("claire")
    assert client.get(link(requestType="NONE")).status_code == 400
    assert client.get(link(requestType="STUDY", studyUID="1.2.3")).status_code == 404
    assert client.get(link(requestType="PATIENT", patientID="NOBODY^^^&1.2.3&ISO")).status_code == 404
    assert client.get(link(requestType="STUDY", accessionNumber="A,B")).status_code == 501
    assert client.get(link(requestType="STUDY", studyUID=UID, viewerType="")).status_code == 400
    other = client.get(link(requestType="STUDY", studyUID=UID, viewerType="FOO"))
    assert (other.status_code, "IHE_BIR" in other.text, "FOO" in other.text) == (501, True, False)


def test_without_the_viewer_there_is_the_page_of_the_study_or_the_person(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("claire")
    assert server.hub.settings.viewer is None
    one = client.get(link(requestType="STUDY", studyUID=UID, viewerType="IHE_BIR"))
    assert one.headers["location"].startswith("/portal/study/")
    several = client.get(link(requestType="STUDY", studyUID=f"{UID},{MR.study.study_instance_uid}"))
    assert several.headers["location"].startswith("/portal/person/"), "never one study of two"


def test_a_study_of_nobody_yet_needs_the_viewer(server: Server, signed_in: SignedIn) -> None:
    """There is no page of the portal for it: whoever asks is told, and so is the operator, in one record."""
    client = signed_in("claire")
    server.hub.imaging.indexed = (replace(CT, person=None),)
    before = len(server.hub.audit.records)
    refused = client.get(link(requestType="STUDY", studyUID=UID))
    assert refused.status_code == 501
    assert "La visionneuse n&#39;est pas installée" in refused.text
    assert "hub.portal.install_viewer" in refused.text
    assert UID not in refused.text
    assert [item.error_code for item in server.hub.audit.records[:-before]] == ["viewer-missing"]
    settings: Any = server.hub.settings
    settings.viewer = Path("build")
    assert client.get(link(requestType="STUDY", studyUID=UID)).headers["location"].startswith("/ohif/viewer?")


def test_who_may_not_see_images(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:
        sign_in(client, "omar")
        assert client.get(link(requestType="STUDY", studyUID=UID)).status_code == 403


def test_from_another_site_the_browser_comes_again(signed_in: SignedIn, server: Server) -> None:
    """A strict cookie is not sent with another site's link; the page's own reload sends it."""
    first = httpx.get(server.url + link(requestType="STUDY", studyUID=UID), headers={"Sec-Fetch-Site": "cross-site"})
    assert 'http-equiv="refresh"' in first.text
    assert UID not in first.text
