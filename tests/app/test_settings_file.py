"""Settings: unknown keys refused, each mistake named with its key and its line, all of them at once."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from hub.app.settings import file as settings_file
from hub.app.settings.file import Mistake, SettingsRefused
from hub.app.settings.model import Settings
from hub.app.settings.toml_lines import key_lines
from hub.values import now

WRONG = """\
# a comment with = and [brackets]
[region]
name = "Bretagne"
afinity_domain = "1.2.3"

[web]
port = "eighty"

[[sources]]
name = "PACS_A"
kind = "dicomweb"
config = { url = "http://127.0.0.1/", other = [1, 2] }

[[sources]]
name = "PACS_A"
kind = "dimse"
deadline = "soon"
"""


def mistakes(text: str) -> tuple[Mistake, ...]:
    with pytest.raises(SettingsRefused) as refused:
        settings_file.parse(text)
    return refused.value.mistakes


def test_every_mistake_has_its_key_and_line() -> None:
    found = {(mistake.key, mistake.line): mistake.message for mistake in mistakes(WRONG)}
    assert found[("region.afinity_domain", 4)] == "there is no such setting; did you mean affinity_domain?"
    assert ("web.port", 7) in found
    assert ("sources[1].deadline", 17) in found
    assert len(found) == 3


def test_rules_between_keys() -> None:
    found = {
        (mistake.key, mistake.line): mistake.message
        for mistake in mistakes(
            WRONG.replace("afinity_domain", "affinity_domain").replace('"eighty"', "80").replace('"soon"', "5")
            + '\n[tls]\ncertificate = "/nowhere/at/all.pem"\n'
        )
    }
    assert found[("sources[1].name", 15)] == "is used twice"
    assert found[("tls", 19)] == "certificate and key are needed together"
    assert found[("tls.certificate", 20)] == "there is no such file"


FEEDS = """\
[mllp]
default_charset = "klingon"
[[feeds]]
name = "OLD"
application = "HIS"
facility = "A"
charset = "klingon"
"""


def test_what_messages_are_written_in_and_what_for() -> None:
    told = "names no character set that can carry HL7 v2"
    found = {(mistake.key, mistake.line): mistake.message for mistake in mistakes(FEEDS)}
    assert found == {("mllp.default_charset", 2): told, ("feeds[0].charset", 7): told}
    (one,) = mistakes("[mllp]\nprocessing_ids = []\n")
    assert (one.key, one.line) == ("mllp.processing_ids", 2)
    assert "must name at least one" in one.message


COMMUNITY = """\
[[communities]]
name = "NORTH"
home_community_id = "1.2.3.1"
query_url = "http://north.example/xca/responding"
"""


def test_each_community_is_another_one() -> None:
    own = COMMUNITY.replace("NORTH", "OWN").replace("1.2.3.1", Settings().region.home_community_id)
    found = {(mistake.key, mistake.line): mistake.message for mistake in mistakes(COMMUNITY + COMMUNITY + own)}
    assert found == dict.fromkeys(
        (("communities[1].name", 6), ("communities[1].home_community_id", 7), ("communities[2].home_community_id", 11)),
        "is used twice",
    )
    (mistake,) = mistakes(COMMUNITY.replace("http://", "file://"))
    assert (mistake.key, mistake.line) == ("communities[0].query_url", 4)


def test_a_community_in_clear_deserves_a_second_look() -> None:
    for text, warned in ((COMMUNITY, True), (COMMUNITY.replace("http:", "https:"), False)):
        said = " ".join(settings_file.warnings(settings_file.parse(text)))
        assert ("communities.NORTH: a URL is http" in said) is warned


def test_domain_values_are_mistakes_like_any_other() -> None:
    found = {
        (mistake.key, mistake.line)
        for mistake in mistakes(
            '[region]\naffinity_domain = "1.2.x"\n[dimse]\nae_title = "much too long for an AE title"\n'
        )
    }
    assert found == {("region.affinity_domain", 2), ("dimse.ae_title", 4)}


@pytest.mark.parametrize("place", ["nowhere", ":104", "h:", "h:0", "h:65536", "h:x", ""])
def test_an_address_is_a_host_and_a_port(place: str) -> None:
    feed = '[[feeds]]\nname = "A"\napplication = "HIS"\nfacility = "A"\n'
    found = {
        mistake.key: mistake.message
        for mistake in mistakes(f'{feed}answer_to = "{place or "h"}"\n[dimse]\ndestinations = {{ PACS = "{place}" }}\n')
    }
    assert found == dict.fromkeys(("feeds[0].answer_to", "dimse.destinations.PACS"), "must be host:port")
    settings = settings_file.parse(f'{feed}answer_to = "h:1"\n[dimse]\ndestinations = {{ PACS = "[::1]:104" }}\n')
    assert settings.feeds[0].reports_to == ""


@pytest.mark.parametrize("host", ["127.0.0.1:80", "[::1]", "http://h", "", "a b"])
def test_what_is_listened_on_is_a_host(host: str) -> None:
    tables = ("web", "mllp", "dimse", "health")
    found = mistakes("".join(f'[{table}]\nhost = "{host}"\n' for table in tables))
    message = "must be a host's name or address, without a port"
    assert {one.key: one.message for one in found} == {f"{table}.host": message for table in tables}
    for fits in ("0.0.0.0", "::1", "::", "localhost", "hub-1.example.org"):
        assert settings_file.parse(f'[web]\nhost = "{fits}"\n').web.host == fits


def test_a_secret_never_appears_in_a_mistake() -> None:
    text = '[[clients]]\nname = "x"\ntoken_sha256 = "very-secret"\n[storage]\ndatabase = ["postgresql://u:pw@h/d"]\n'
    report = " ".join(str(mistake) for mistake in mistakes(text))
    assert "secret" not in report
    assert "pw" not in report


def test_text_that_is_not_toml_names_the_line() -> None:
    (mistake,) = mistakes('[web]\nport = 80\nhost "127.0.0.1"\n')
    assert mistake.line == 3


@pytest.mark.parametrize("table", ["web", "mllp", "dimse", "health"])
def test_open_beyond_loopback_is_refused(table: str) -> None:
    (mistake,) = mistakes(f'[security]\nnode_authentication = false\n[{table}]\nhost = "0.0.0.0"\n')
    assert "loopback" in mistake.message


def test_environment_takes_the_place_of_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILLAGE_STORAGE__DATABASE", "postgresql://db/maillage")
    monkeypatch.setenv("MAILLAGE_WEB__PORT", "8123")
    settings = settings_file.parse('[storage]\ndatabase = "sqlite:///x.sqlite"\n')
    assert settings.storage.database == "postgresql://db/maillage"
    assert settings.web.port == 8123


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match="can't be read"):
        settings_file.load(tmp_path / "none.toml")


def test_warnings_name_open_doors() -> None:
    open_door = settings_file.parse("[security]\nnode_authentication = false\n")
    assert any("node_authentication is off" in warning for warning in settings_file.warnings(open_door))
    outside = settings_file.parse('[web]\nhost = "0.0.0.0"\n')
    assert any("without TLS" in warning for warning in settings_file.warnings(outside))


def test_a_token_that_ends_is_told_before() -> None:
    def told(last: date) -> list[str]:
        text = f'[[clients]]\nname = "ris"\ntoken_sha256 = "{"0" * 64}"\ntoken_expires = {last}\n'
        found = settings_file.warnings(settings_file.parse(text))
        return [warning for warning in found if warning.startswith("clients.ris")]

    today = now().date()
    assert "it is refused" in told(today - timedelta(days=2))[0]
    assert "new one" in told(today + timedelta(days=20))[0]
    assert told(today + timedelta(days=60)) == []
    (mistake,) = mistakes('[[clients]]\nname = "ris"\ntoken_expires = 2030-01-01\n')
    assert mistake.key == "clients[0].token_expires"
    (mistake,) = mistakes(f'[[clients]]\nname = "ris"\ntoken_sha256 = "{"0" * 64}"\ntoken_expires = "soon"\n')
    assert mistake.key == "clients[0].token_expires"


def test_titles_that_anybody_may_use_are_refused_beyond_loopback() -> None:
    dimse = '[dimse]\ncallers = ["PACS_B"]\n'
    assert settings_file.parse(dimse).dimse.callers == ("PACS_B",)
    outside = f'{dimse}host = "0.0.0.0"\n'
    (mistake,) = mistakes(outside)
    assert "AE title alone" in mistake.message
    tls = '[tls]\ncertificate = "hub.crt"\nkey = "hub.key"\nca = "ca.crt"\nclient_certificates = "required"\n'
    assert all("no such file" in item.message for item in mistakes(outside + tls))


def test_lines_of_everything_that_toml_can_hold() -> None:
    text = (
        'a.b = 1\n"quoted key" = """\nmore = 1\n[not.a.table]\n"""\n[[list]]\nx = [\n  { y = 1 },\n'
        "  # comment ]\n  { y = '''\n]''' },\n]\n[[list]]\nx = []\n[list.sub]\nz = 2026-01-01T00:00:00Z\n[[list]]\n"
        "x = 1.5\n"
    )
    lines = key_lines(text)
    assert lines[("a", "b")] == 1
    assert lines[("quoted key",)] == 2
    assert lines[("list", 0)] == 6
    assert lines[("list", 0, "x", 0, "y")] == 8
    assert lines[("list", 0, "x", 1, "y")] == 10
    assert lines[("list", 1, "sub", "z")] == 16
    assert lines[("list", 2, "x")] == 18
