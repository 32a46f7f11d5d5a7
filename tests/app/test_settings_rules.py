"""A region's access rules: each mistake is refused at the start, with its key and its line, and told by `check`."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.app import rights
from hub.app.commands.main import app
from hub.app.settings import file as settings_file
from hub.app.settings.file import SettingsRefused
from hub.app.settings.rights import CONDITIONS, RightsRule

HOWTO = Path(__file__).parents[2] / "docs/howto/write-rules.md"
CODES = """<ValueSet xmlns="urn:ihe:iti:svs:2008" id="1.2.3" displayName="confidentialityCode"><ConceptList>
<Concept code="N" codeSystem="2.16.840.1.113883.5.25" displayName="Normal"/>
<Concept code="PSY" codeSystem="1.2.250.1.999.7" displayName="Psychiatrie"/>
</ConceptList></ValueSet>"""


def rule(*lines: str, name: str = "ours", allows: bool = False) -> str:
    return "\n".join(
        ["[[rights.rules]]", f'name = "{name}"', f"allows = {str(allows).lower()}", 'why = "x"', *lines, ""]
    )


def refused(text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(SettingsRefused) as found:
        settings_file.parse(text)
    return [(item.key, item.line, item.message) for item in found.value.mistakes]


@pytest.mark.parametrize(
    ("text", "key", "line", "message"),
    [
        (rule("minor = true", name="opposition"), ".name", 2, "is the name of a rule of the hub's own"),
        (rule("minor = true", name="Our rule"), ".name", 2, "String should match pattern"),
        (rule(), "", 1, "has no condition, it would hold for everybody: one of kind, confidentiality"),
        (rule("roles = []"), "", 1, "roles must name at least one"),
        (rule('speciality = ["SM25"]'), ".speciality", 5, "there is no such setting; did you mean specialities?"),
        (rule('kind = ["person"]'), ".kind[0]", 5, "Input should be 'document' or 'study'"),
        (rule('roles = ["doctor"]'), ".roles[0]", 5, "Input should be 'clinician'"),
        (rule('purpose = ["research"]'), ".purpose[0]", 5, "Input should be 'normal'"),
        (rule('professions = ["11"]'), ".professions[0]", 5, "is no profession's code that the hub knows"),
        (rule('specialities = ["radiology"]'), ".specialities[0]", 5, "String should match pattern"),
        (rule('structures = [" "]'), ".structures[0]", 5, "String should match pattern"),
        (rule('confidentiality = ["R", "X"]'), ".confidentiality[1]", 5, "is no confidentiality code of HL7, TRE_A07"),
        (rule('roles = ["clinician"]', "person = false"), "", 1, "can never hold: person = false, and roles is asked"),
        (rule("person = false", allows=True), "", 1, "a rule that allows is about persons"),
        (rule('confidentiality = ["R"]', allows=True), "", 1, "a rule that allows can't ask for confidentiality"),
        (rule("minor = true").replace('why = "x"', 'why = " "'), ".why", 4, "String should match pattern"),
        (rule("minor = true").replace("allows = false", ""), ".allows", 1, "is required"),
    ],
)
def test_mistakes(text: str, key: str, line: int, message: str) -> None:
    ((found, at, said),) = refused(text)
    assert (found, at) == (f"rights.rules[0]{key}", line)
    assert message in said


def test_names_are_their_own() -> None:
    twice = rule("minor = true") + rule('kind = ["study"]')
    assert refused(twice) == [("rights.rules[1].name", 7, "is used twice")]


def test_codes_of_the_vocabulary(tmp_path: Path) -> None:
    codes = tmp_path / "codes.xml"
    codes.write_text(CODES)
    named = f'vocabulary = "{codes}"\n'
    wanted = rule('confidentiality = ["PSY", "R"]')
    assert settings_file.parse(named + wanted).rights.rules[0].confidentiality == ("PSY", "R")
    assert refused(wanted)[0][0] == "rights.rules[0].confidentiality[0]"
    codes.write_text("<Codes/>")
    assert {key for key, _, _ in refused(named + wanted)} == {"vocabulary", "rights.rules[0].confidentiality[0]"}


def test_check_tells(tmp_path: Path) -> None:
    file = tmp_path / "maillage.toml"
    file.write_text(rule())
    found = CliRunner().invoke(app, ["check", "--settings", str(file)])
    assert found.exit_code == 1
    assert "line 1: rights.rules[0]: has no condition" in found.output


def test_every_condition_reaches_the_matrix() -> None:
    settings = settings_file.parse(
        rule(
            'kind = ["study"]\nconfidentiality = ["R"]\nperson = true\nroles = ["clinician"]\nprofessions = ["60"]',
            'specialities = ["SM25"]\nstructures = ["1"]\npurpose = ["normal"]\nemergency = false\nminor = true',
            "in_care = false\nconsented = true",
        )
    )
    (found,) = rights.region_rules(settings)
    assert not [name for name in CONDITIONS if getattr(found, name) in (None, frozenset())]
    assert set(CONDITIONS) | {"name", "allows", "why", "source"} == set(RightsRule.model_fields)


def test_the_page_s_example_is_in_the_matrix(tmp_path: Path) -> None:
    text = HOWTO.read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "maillage.toml"
    file.write_text(example)
    checked = CliRunner().invoke(app, ["check", "--settings", str(file)])
    assert checked.exit_code == 0, checked.output
    shown = CliRunner().invoke(app, ["access", "rules", "--settings", str(file)]).output.splitlines()
    names = [line.split()[1] for line in shown]
    assert names.index("radiographers-read-no-documents") == names.index("restricted-not-for-systems") + 1
    assert names[-2:] == ["stroke-line", "closed"]
    assert set(CONDITIONS) <= set(re.findall(r"`(\w+)`", text.partition("## Where they stand")[0]))
