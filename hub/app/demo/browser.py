"""A person at the portal, without a browser: follows links and sends forms as the pages offer them."""

from typing import Any
from urllib.parse import urljoin

import httpx
from lxml import html


class Visitor:
    """One person's visit; ``page`` is what is on the screen."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=60.0, trust_env=False)
        self.page: Any = None
        self.url = url

    def open(self, path: str) -> "Visitor":
        """Go to a path; raises httpx.HTTPStatusError unless it answers well."""
        return self._show(self.http.get(urljoin(self.url, path), headers={"Accept-Language": "fr"}))

    def send(self, action: str, **fields: str) -> "Visitor":
        """Fill in and send the page's form whose action contains ``action``."""
        form = next(item for item in self.page.forms if action in (item.get("action") or ""))
        values = {name: value for name, value in form.form_values() if name} | fields
        return self._show(self.http.post(urljoin(self.url, form.get("action")), data=values))

    def links(self, part: str) -> list[str]:
        """Targets of the page's links that contain ``part``, each once."""
        return list(dict.fromkeys(href for href in self.page.xpath("//a/@href") if part in href))

    @property
    def text(self) -> str:
        """What the page says."""
        return " ".join(self.page.xpath("//main")[0].text_content().split())

    def _show(self, answer: httpx.Response) -> "Visitor":
        answer.raise_for_status()
        self.url = str(answer.url)
        self.page = html.fromstring(answer.text)
        return self
