"""The authorisation server with clients that others wrote: authlib's for httpx and requests, joserfc for the keys."""

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from hub.wire.jose.keys import new_key, signing_key
from tests.access.oauth_hub import ASSERTION, TokenHub, token_hub

pytestmark = pytest.mark.interop
METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenHub]:
    with token_hub(tmp_path_factory.mktemp("oauth")) as site:
        yield site


def metadata(site: TokenHub, path: str = METADATA) -> dict[str, Any]:
    with site.caller() as http:
        answer = http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def key_of(site: TokenHub, client: str = "ris") -> ECKey:
    encoded = site.keys[client].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ECKey.import_key(encoded)


def proof(endpoint: str) -> PrivateKeyJWT:
    """Authlib's own assertions are good for an hour, which is too long here."""
    return PrivateKeyJWT(endpoint, alg="ES256", claims={"exp": int(time.time()) + 120})


def claims_of(site: TokenHub, token: str) -> dict[str, Any]:
    """Verified by another library, with the published keys."""
    with site.caller() as http:
        keys = KeySet.import_key_set(http.get(metadata(site)["jwks_uri"]).json())
    found: dict[str, Any] = jwt.decode(token, keys, algorithms=["ES256"]).claims
    return found


def test_the_metadata_is_valid(site: TokenHub) -> None:
    """ITI-103, RFC 8414."""
    found = metadata(site)
    assert found["issuer"] == site.url
    assert found["access_token_format"] == "ihe-jwt"
    described = AuthorizationServerMetadata(found)
    described["authorization_endpoint"] = "https://not.there/authorize"  # this class wants one of every server
    described["response_types_supported"] = ["none"]
    described.validate()
    smart = metadata(site, "/fhir/.well-known/smart-configuration")
    assert {"client-confidential-asymmetric", "permission-v2"} <= set(smart["capabilities"])
    assert smart["token_endpoint"] == found["token_endpoint"]


def httpx_client(site: TokenHub, scope: str, node: str = "") -> OAuth2Client:
    endpoint = metadata(site)["token_endpoint"]
    client = OAuth2Client(
        client_id=node or "ris",
        client_secret=None if node else key_of(site),
        token_endpoint_auth_method="none" if node else proof(endpoint),
        revocation_endpoint_auth_method="none" if node else proof(endpoint),
        scope=scope,
        verify=site.trust(node),
    )
    client.metadata["token_endpoint"] = endpoint
    return client


@pytest.mark.parametrize("scope", ["system/ImagingStudy.rs", "system/ImagingStudy.read", "imaging.query"])
def test_httpx_with_a_signed_assertion(site: TokenHub, scope: str) -> None:
    """ITI-71 and ITI-72; the token as RFC 9068 wants it."""
    with httpx_client(site, scope) as client:
        token = client.fetch_token(grant_type="client_credentials")
        assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", scope, 300)
        assert client.get(f"{site.url}/fhir/ImagingStudy").status_code == 200
        assert client.get(f"{site.url}/fhir/DocumentReference").status_code == 403
    claims = claims_of(site, token["access_token"])
    assert (claims["iss"], claims["aud"], claims["sub"], claims["client_id"]) == (site.url, site.url, "ris", "ris")
    assert claims["exp"] - claims["iat"] == 300
    assert claims["extensions"]["ihe_iua"]["subject_organization"] == "Hôpital B"
    assert "cnf" not in claims


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_what_smart_demands_of_a_server(tmp_path: Path, algorithm: str) -> None:
    """SMART App Launch 2: asymmetric client authentication: RS384 and ES384 are verified."""
    made = ECKey.generate_key("P-384") if algorithm == "ES384" else RSAKey.generate_key(2048)
    (tmp_path / "ris.json").write_text(json.dumps(made.as_dict(private=False, alg=algorithm, kid="mine", use="sig")))
    with token_hub(tmp_path, client_keys={"ris": tmp_path / "ris.json"}) as site:
        endpoint = metadata(site)["token_endpoint"]
        assert algorithm in metadata(site)["token_endpoint_auth_signing_alg_values_supported"]
        now = int(time.time())
        said = {"iss": "ris", "sub": "ris", "aud": endpoint, "jti": algorithm, "iat": now, "exp": now + 120}
        shown = jwt.encode({"alg": algorithm, "kid": "mine"}, said, made, algorithms=[algorithm])
        form = {"grant_type": "client_credentials", "scope": "system/ImagingStudy.rs", "client_assertion": shown}
        answer = site.ask({**form, "client_assertion_type": ASSERTION})
        assert answer.status_code == 200, answer.text


def test_httpx_with_a_certificate(site: TokenHub) -> None:
    """RFC 8705: proven by the certificate, bound to it."""
    with httpx_client(site, "system/ImagingStudy.rs", "pacs") as client:
        token = client.fetch_token(grant_type="client_credentials")
        assert client.get(f"{site.url}/dicom-web/studies").status_code in (200, 204)
    assert set(claims_of(site, token["access_token"])["cnf"]) == {"x5t#S256"}
    with site.caller(token=token["access_token"]) as http:
        assert http.get("/dicom-web/studies").status_code == 401


def test_requests_with_a_signed_assertion(site: TokenHub) -> None:
    endpoint = metadata(site)["token_endpoint"]
    session = OAuth2Session(
        client_id="ris",
        client_secret=key_of(site),
        token_endpoint_auth_method=proof(endpoint),
        scope="documents.query",
    )
    session.trust_env = False  # which may name other authorities
    session.verify = str(site.directory / "ca.crt")
    token = session.fetch_token(endpoint, grant_type="client_credentials")
    assert isinstance(token["access_token"], str)
    assert session.get(f"{site.url}/fhir/ImagingStudy").status_code == 403
    asked = {"patient.identifier": "urn:oid:1.2.250.1.999.1.1|1", "status": "current"}
    answer = session.get(f"{site.url}/fhir/DocumentReference", params=asked)
    assert answer.status_code == 200, answer.text


def test_an_opaque_token_introspected(site: TokenHub) -> None:
    """ITI-102; revoked by authlib's client."""
    kind = "urn:ietf:params:oauth:token-type:access_token"
    with httpx_client(site, "imaging.query") as client:
        token = client.fetch_token(grant_type="client_credentials", requested_token_type=kind)
        assert "." not in token["access_token"]
        assert token["issued_token_type"] == kind
        assert client.get(f"{site.url}/fhir/ImagingStudy").status_code == 200
        with httpx_client(site, "", "pacs") as resource:
            found = resource.introspect_token(metadata(site)["introspection_endpoint"], token["access_token"])
        assert found.json() | {"active": True, "client_id": "ris", "scope": "imaging.query"} == found.json()
        assert client.revoke_token(metadata(site)["revocation_endpoint"], token["access_token"]).status_code == 200
        with httpx_client(site, "", "pacs") as resource:
            found = resource.introspect_token(metadata(site)["introspection_endpoint"], token["access_token"])
        assert found.json() == {"active": False}


def test_a_wrong_key_is_told_as_oauth_tells_it(site: TokenHub) -> None:
    endpoint = metadata(site)["token_endpoint"]
    client = OAuth2Client(
        client_id="ris",
        client_secret=key_of(site, "other"),
        token_endpoint_auth_method=proof(endpoint),
        verify=site.trust(),
    )
    with client, pytest.raises(Exception, match="invalid_client"):
        client.fetch_token(endpoint, grant_type="client_credentials", scope="imaging.query")


def test_the_signing_key_is_changed_without_a_restart(tmp_path: Path) -> None:
    """A new key first, the old one behind it: tokens of both are good; then the old one leaves."""
    old = new_key("ES256")
    (tmp_path / "old.pem").write_bytes(old)
    with token_hub(tmp_path, signing_keys=(tmp_path / "token.pem", tmp_path / "old.pem")) as site:
        first = site.token()
        assert len(site.hub.oauth.issuer.jwks()["keys"]) == 2
        (tmp_path / "old.pem").write_bytes((tmp_path / "token.pem").read_bytes())
        (tmp_path / "token.pem").write_bytes(new_key("RS256"))
        second = site.token()
        assert site.hub.oauth.issuer.jwks()["keys"][0]["alg"] == "RS256"
        for token in (first, second):
            with site.caller(token=token) as http:
                assert http.get("/fhir/ImagingStudy").status_code == 200
        (tmp_path / "old.pem").write_bytes((tmp_path / "token.pem").read_bytes())
        with site.caller(token=first) as http:
            assert http.get("/fhir/ImagingStudy").status_code == 401
    assert signing_key(old).algorithm == "ES256"


def test_a_hub_without_keys_issues_nothing(tmp_path: Path) -> None:
    with token_hub(tmp_path, signing_keys=(), client_keys={}) as site, site.caller("pacs") as http:
        assert http.get(METADATA).status_code == 404
        answer = http.post("/oauth2/token", data={"grant_type": "client_credentials"})
        assert "issues no tokens" in answer.json()["error_description"]
        assert http.get("/fhir/ImagingStudy").status_code == 200
        assert http.get("/fhir/ImagingStudy", headers={"Authorization": "Bearer a.b.c"}).status_code == 401


def test_curl_may_do_it_too(site: TokenHub) -> None:
    """As the guide says: a certificate, a form."""
    context = ssl.create_default_context(cafile=site.directory / "ca.crt")
    context.load_cert_chain(site.directory / "pacs.crt", site.directory / "pacs.key")
    form = {"grant_type": "client_credentials", "client_id": "pacs", "scope": "ITI-67"}
    answer = httpx.post(f"{site.url}/oauth2/token", data=form, verify=context, timeout=60)
    assert answer.json()["scope"] == "ITI-67"
    assert claims_of(site, answer.json()["access_token"])["exp"] > time.time()
