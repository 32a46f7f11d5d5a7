"""A person's documents as a package, from the portal."""

import io
import re
import zipfile

from hub.portal import actions
from tests.portal.conftest import Server
from tests.portal.test_pages import SignedIn, open_person

DOCUMENTS = 5  #: that the small region holds of the person


def test_export(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("claire")
    path = re.findall(r'href="(/portal/person/[^"]+/xdm)"', open_person(client).text)[0]
    answer = client.get(path)
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert "IHE_XDM/SUBSET01/METADATA.XML" in archive.namelist()
        assert len(archive.namelist()) == 3 + DOCUMENTS
        metadata = archive.read("IHE_XDM/SUBSET01/METADATA.XML").decode()
    assert answer.headers["content-disposition"] == 'attachment; filename="documents.zip"'
    told = [record for record in server.hub.audit.records if record.transaction == "PORTAL-PACKAGE"]
    (export,) = told
    assert export.event_code == "110106"
    assert actions.PACKAGE.audit.type_code == "ITI-32"
    kinds = [item.kind for item in export.objects]
    assert kinds.count("document") == DOCUMENTS
    (package,) = [item.reference for item in export.objects if item.kind == "submission set"]
    assert f'value="{package}"' in metadata
