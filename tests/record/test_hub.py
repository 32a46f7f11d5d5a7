"""A whole hub with a national record: settings, worker, audit, the operator's page."""

from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from hub.app.settings.model import Settings
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.context import Context
from hub.errors import HubError
from hub.record.model import ListPublications, Reason, RetryHeld
from hub.testing.dmp.pki import STRUCTURE, make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.values import now
from tests.app.test_wiring import settings
from tests.connectors.dmp_site import settings as connector_settings
from tests.portal.conftest import field

_WORDS = ("stopped looking by itself", "to be deleted there")
_TOLD = {"no-record": [True, False], "closed-record": [False, True], "certificate-refused": [False, False]}


def with_record(directory: Path, dmp: DmpSimulator, **changed: object) -> Settings:
    record = {
        "structure": STRUCTURE,
        "structure_name": "CENTRE HOSPITALIER A",
        "config": connector_settings(dmp),
        **changed,
    }
    operator = {
        "login": "op", "name": "Op", "roles": ["operator"], "password_argon2": PasswordHasher().hash("secret-of-op"),
    }  # fmt: skip
    return settings(directory, record=record, users=[operator])


def test_a_hub_without_a_record_has_nothing_of_it(tmp_path: Path) -> None:
    hub = Hub(settings(tmp_path))
    try:
        assert hub.record is None
        assert ListPublications not in hub.dispatch.handlers
        assert "national-record" not in hub.worker.handlers
    finally:
        hub.stop()


def test_settings_that_are_wrong_are_told(tmp_path: Path) -> None:
    with DmpSimulator(make_pki(tmp_path / "pki")) as dmp:
        with pytest.raises(ValueError, match="structure"):
            with_record(tmp_path, dmp, structure="")
        with pytest.raises(HubError):
            Hub(with_record(tmp_path, dmp, kind="nothing"))
        broken = Hub(with_record(tmp_path, dmp, kind="dicomweb", config={"url": "http://127.0.0.1:1/x"}))
        assert broken.record is not None
        with pytest.raises(HubError):
            broken.record.connector()
        broken.stop()


def test_the_operator_sees_and_tries_again(tmp_path: Path) -> None:
    with DmpSimulator(make_pki(tmp_path / "pki")) as dmp:
        hub = Hub(with_record(tmp_path, dmp))
        hub.start({Role.WEB})
        try:
            assert hub.record is not None
            assert hub.record.desk is not None
            assert hub.record.connector().name == "DMP"  # type: ignore[attr-defined]
            _held(hub, "one", Reason.CERTIFICATE)
            _held(hub, "two", Reason.CLOSED)
            _held(hub, "three", Reason.NO_RECORD, attempts=31)
            _held(hub, "four", Reason.CLOSED, attempts=31, wanted=False, record_unique_id="1.2.four")
            with httpx.Client(base_url=hub.public_url(), headers={"Accept-Language": "en"}) as client:
                form = client.get("/portal/sign-in")
                data = {"csrf": field(form.text, "csrf"), "login": "op", "password": "secret-of-op"}
                client.post("/portal/sign-in", data=data)
                page = client.get("/portal/operator/record")
                assert page.status_code == 200
                assert "does not accept the certificate" in page.text
                assert "record is closed" in page.text
                assert 'href="/portal/operator/record"' in page.text
                told = {name: client.get(f"/portal/operator/record?reason={name}").text for name in _TOLD}
                assert {name: [words in told[name] for words in _WORDS] for name in told} == _TOLD
                narrow = client.get("/portal/operator/record?state=held&reason=closed-record&offset=0")
                assert "1.2.3.two" in narrow.text
                assert "1.2.3.one" not in narrow.text
                csrf = {"csrf": field(page.text, "csrf")}
                done = client.post("/portal/operator/record/one/retry", data=csrf, follow_redirects=True)
                assert "tried again" in done.text
                again = client.post("/portal/operator/record/one/retry", data=csrf, follow_redirects=True)
                assert "not held" in again.text
                client.post("/portal/operator/record/held/closed-record/retry", data=csrf)
                assert hub.record.service is not None
                states = hub.record.desk.publications(ListPublications(), Context()).counts
                assert sum(count for (state, _), count in states.items() if state == "waiting") == 3
                assert client.post("/portal/operator/record/one/retry").status_code == 403
        finally:
            hub.stop()


def test_deliveries_are_audited(tmp_path: Path) -> None:
    with DmpSimulator(make_pki(tmp_path / "pki")) as dmp:
        hub = Hub(with_record(tmp_path, dmp))
        hub.prepare()
        hub.audit.start()
        try:
            _held(hub, "one", Reason.CERTIFICATE)
            assert hub.record is not None
            assert hub.record.desk is not None
            assert hub.record.service is not None
            assert hub.record.desk.retry_held(RetryHeld(Reason.CERTIFICATE), Context()) == 1
            hub.worker.run_pending()
            found = hub.record.desk.publications(ListPublications(), Context())
            assert [item.state.value for item in found.publications] == ["withdrawn"]  # the region holds no such entry
        finally:
            hub.stop()


def _held(hub: Hub, key: str, reason: Reason, **more: object) -> None:
    from hub.record.store import RecordStore

    with hub.database.transaction() as work:
        RecordStore(work).add(
            {
                "id": key, "kind": "report", "study_instance_uid": f"1.2.3.{key}", "entry": key, "logical_id": key,
                "unique_id": f"1.2.{key}", "patient": "1^^^&1.2&ISO", "wanted": True, "state": "held",
                "reason": reason.value, "created_at": now(), "changed_at": now(), **more,
            }
        )  # fmt: skip
