"""The OHIF viewer as the hub serves it: one data source, this hub; only for people who are signed in.

The files are installed by ``python -m hub.portal.install_viewer`` and never part of the project.
"""

import json
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from hub.access.model import Credentials
from hub.context import Context
from hub.errors import HubError
from hub.portal.ports import Access
from hub.portal.visit import SESSION_COOKIE
from hub.portal.web import peer_of

INSTALL = "python -m hub.portal.install_viewer"
PERMISSION = "imaging.retrieve"
#: OHIF needs cross-origin isolation (shared memory), WebAssembly, workers from blobs and inline styles.
HEADERS: Mapping[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob: data:; worker-src 'self' blob:; media-src 'self' blob:; manifest-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
}
#: Decoders run in workers, whose policy is that of their own file; they build their bindings with ``new Function``.
WORKER_HEADERS: Mapping[str, str] = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; "
    "connect-src 'self' blob: data:; worker-src 'self' blob:",
}
MEDIA_TYPES = {".wasm": "application/wasm", ".js": "text/javascript", ".mjs": "text/javascript"}

CONFIG: Mapping[str, Any] = {
    "name": "maillage",
    "routerBasename": "/ohif",
    "extensions": [],
    "modes": [],
    "customizationService": {},
    "showStudyList": False,
    "maxNumberOfWebWorkers": 3,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": False,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "investigationalUseDialog": {"option": "never"},
    "maxNumRequests": {"interaction": 100, "thumbnail": 5, "prefetch": 25},
    "defaultDataSourceName": "maillage",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "maillage",
            "configuration": {
                "friendlyName": "Maillage",
                "name": "maillage",
                "wadoUriRoot": "/dicom-web",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "qidoSupportsIncludeField": True,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": False,
                "supportsWildcard": False,
                "supportsReject": False,
                "dicomUploadEnabled": False,
                "omitQuotationForMultipartRequest": True,
                "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
            },
        }
    ],
}


def app_config() -> str:
    """The viewer's ``app-config.js``: what OHIF's own page has inline, and this hub as the only data source."""
    return (
        "window.PUBLIC_URL = '/ohif/';\n"
        "window.browserImportFunction = name => import(name);\n"
        f"window.config = {json.dumps(CONFIG, indent=2)};\n"
        "window.config.customizationService = [{ 'ohif.tours': { $set: [] } }];\n"
        "window.config.whiteLabeling = { createLogoComponentFn: React => React.createElement('a',\n"
        "  { href: '/portal', style: { display: 'flex', gap: '10px', alignItems: 'center', color: '#fff' } },\n"
        "  React.createElement('img', { src: '/portal/static/logo.svg', alt: '', width: 30, height: 30 }),\n"
        "  'Maillage') };\n"
    )


class Viewer:
    """Serves the installed files under ``/ohif/`` to people who may read images."""

    def __init__(self, directory: Path | None, access: Access, trusted_proxy: str = "") -> None:
        self.directory = directory.resolve() if directory is not None else None
        self.access = access
        self.trusted_proxy = trusted_proxy

    @property
    def routes(self) -> Sequence[tuple[str, Callable[[Request], Any]]]:
        """Paths and endpoints."""
        return (("/ohif", self.root), ("/ohif/app-config.js", self.config), ("/ohif/{path:path}", self.file))

    async def root(self, _request: Request) -> Response:
        """``/ohif`` alone lists nothing: the portal is where studies are found."""
        return RedirectResponse("/portal", 303)

    async def config(self, _request: Request) -> Response:
        """The configuration."""
        return Response(app_config(), media_type="text/javascript", headers={**HEADERS, "Cache-Control": "no-cache"})

    async def file(self, request: Request) -> Response:
        """A file of the viewer; every other path is one of its pages, for a person with the right to images."""
        if self.directory is None:
            return PlainTextResponse(f"The viewer is not installed: {INSTALL}", 404)
        name = request.path_params["path"]
        path = (self.directory / name).resolve()
        if name and path.is_relative_to(self.directory) and path.is_file() and path.name != "index.html":
            media_type = MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
            hashed = path.suffix in (".js", ".wasm", ".woff2") and ".bundle." in path.name
            caching = "public, max-age=31536000, immutable" if hashed else "no-cache"
            return FileResponse(
                path,
                media_type=media_type or "application/octet-stream",
                headers={**WORKER_HEADERS, "Cache-Control": caching},
            )
        if "." in name.rpartition("/")[2]:
            return PlainTextResponse("Not found", 404, dict(HEADERS))
        if not await run_in_threadpool(self._permitted, request):
            return RedirectResponse("/portal/sign-in", 303)
        return FileResponse(
            self.directory / "index.html", media_type="text/html", headers={**HEADERS, "Cache-Control": "no-store"}
        )

    def _permitted(self, request: Request) -> bool:
        peer = peer_of(request, self.trusted_proxy)
        session = request.cookies.get(SESSION_COOKIE, "")
        if not session:  # an open hub on loopback takes programs without a session, never a person
            return False
        try:
            principal = self.access.authenticate(Credentials(session=session, peer=peer))
            self.access.permit(principal, PERMISSION, Context(principal=principal, peer=peer))
        except HubError:
            return False
        return True
