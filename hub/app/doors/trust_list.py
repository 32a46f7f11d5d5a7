"""The list of trusted DRIMboxes as it is now: verified when a file changes and when what vouches for it runs out."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography import x509

from hub.app.keys.certificates import read_authorities
from hub.app.keys.changing import Stamp, stamp
from hub.app.settings.drimbox import Drimbox
from hub.errors import HubError
from hub.values import now
from hub.wire.drimbox.errors import WhiteListRefused
from hub.wire.drimbox.white_list import Domain, Trust, WhiteList, read_white_list
from hub.wire.x509.revocation import read_lists

log = logging.getLogger(__name__)

_AGAIN = 10.0  #: seconds before files that could not be used are tried again though they have not changed


class TrustList:
    """Closed: while no list can be believed, nobody is trusted.

    A new file that is no good leaves the last good list, as long as that one itself can be verified; an older list
    than the one in use is no good."""

    def __init__(self, settings: Drimbox, clock: Callable[[], datetime] = now) -> None:
        assert settings.white_list is not None
        self.settings = settings
        self.problem = ""  #: why the file as it is now is not used
        self._file: Path = settings.white_list
        self._files = (self._file, *settings.authorities, *settings.crls)
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._tried = 0.0
        self._bytes = b""  #: of the last good list
        self._list: WhiteList | None = None
        self._newest: datetime | None = None  #: when the newest list was made that was ever in use

    def operator(self, certificate: x509.Certificate) -> Domain | None:
        """The DRIMbox whose operator's certificate this is."""
        current = self.current()
        return current.operator(certificate) if current is not None else None

    def source_of(self, url: str) -> Domain | None:
        """The DRIMbox that gives images at this URL."""
        current = self.current()
        return current.source_of(url) if current is not None else None

    def current(self) -> WhiteList | None:
        """The list; None while there is none that can be believed."""
        seen, at = stamp(self._files), self._clock()
        with self._lock:
            good = self._list is not None and at <= self._list.good_until
            waits = self.problem and time.monotonic() - self._tried < _AGAIN
            if seen != self._stamp or not (good or waits) or (self.problem and not waits):
                self._renew(seen, at)
            return self._list

    def _renew(self, seen: Stamp, at: datetime) -> None:
        self._tried, self._stamp = time.monotonic(), seen
        self._list = None
        try:
            trust = self._trust()
            data = self._file.read_bytes()
            found = read_white_list(data, trust, at)
            if self._newest is not None and found.generated < self._newest:
                raise WhiteListRefused("The list is older than the one in use.")
        except (HubError, OSError) as error:
            self._tell(error.message if isinstance(error, HubError) else "A file can't be read.")
            self._list = self._verified_again(at)
            return
        self._bytes, self._list, self._newest, self.problem = data, found, found.generated, ""
        log.info("a list of %d trusted DRIMboxes is in use", len(found.domains))

    def _verified_again(self, at: datetime) -> WhiteList | None:
        """The last good list, by what is believed now."""
        if not self._bytes:
            return None
        try:
            return read_white_list(self._bytes, self._trust(), at)
        except (HubError, OSError):
            log.error("no list of trusted DRIMboxes can be believed: none is trusted")
            return None

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            log.error("the list of trusted DRIMboxes is not used: %s", problem)
        self.problem = problem

    def _trust(self) -> Trust:
        settings = self.settings
        return Trust(
            authorities=tuple(one for file in settings.authorities for one in read_authorities(file)),
            lists=tuple(one for file in settings.crls for one in read_lists(file.read_bytes())),
            signer=tuple(settings.signer.items()),
            algorithms=settings.algorithms,
            namespace=settings.namespace,
            version=settings.version,
        )
