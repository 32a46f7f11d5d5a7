"""An OpenID provider that lies as it is told to: what a real one never does."""

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from tests.interop.oidc_provider import CLIENT
from tests.wire.oidc.people import ONE_PLACE
from tests.wire.oidc.signing import Signer, bare

Claims = dict[str, Any]


class LyingProvider:
    """``id_claims`` and ``person`` change what it says; ``sign`` how it signs ID tokens."""

    def __init__(self) -> None:
        self.signer, self.stranger = Signer(), Signer()
        self.nonce = ""
        self.codes: set[str] = set()
        self.honest()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(*provider.get(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._say(*provider.post(self.path, dict(parse_qsl(body))))

            def _say(self, status: int, value: Claims) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def honest(self) -> None:
        """As a provider should be."""
        self.id_claims: Callable[[Claims], Claims] = lambda claims: claims
        self.sign: Callable[[Claims], str] = self.signer.sign
        self.person: Claims = dict(ONE_PLACE)
        self.down = 0  #: so many requests for tokens find it down

    def get(self, path: str) -> tuple[int, Claims]:
        match path:
            case "/.well-known/openid-configuration":
                return 200, {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/auth",
                    "token_endpoint": f"{self.issuer}/token",
                    "userinfo_endpoint": f"{self.issuer}/me",
                    "jwks_uri": f"{self.issuer}/jwks",
                    "backchannel_authentication_endpoint": f"{self.issuer}/phone",
                }
            case "/jwks":
                return 200, {"keys": [self.signer.public]}
            case "/me":
                return 200, self.person
        return 404, {}

    def post(self, path: str, form: dict[str, str]) -> tuple[int, Claims]:
        if path == "/phone":
            return 200, {"auth_req_id": "1", "expires_in": 120, "interval": 1}
        if self.down:
            self.down -= 1
            return 503, {}
        code = form.get("code", "")
        if code in self.codes:
            return 400, {"error": "invalid_grant"}
        self.codes.add(code)
        token = self.sign(self.id_claims(self.claims(nonce=self.nonce)))
        return 200, {"access_token": "a", "token_type": "Bearer", "expires_in": 120, "id_token": token}

    def claims(self, **more: Any) -> Claims:
        at = int(time.time())
        sub = ONE_PLACE["sub"]
        base = {"iss": self.issuer, "aud": CLIENT, "sub": sub, "acr": "eidas1", "sid": "s1", "iat": at, "exp": at + 60}
        return base | more

    def unsigned(self, claims: Claims) -> str:
        return bare({"alg": "none"}, claims)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)
