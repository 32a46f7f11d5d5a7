"""``maillage patients import`` as people type it: three formats, refusals, killed and started again."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hub.patients.ins_model import key_of
from hub.testing import hl7
from tests.patients.conftest import A, identity

HEADING = "IPP;Nom de naissance;Premier prénom;Date de naissance;Sexe;Statut;INS"
NIR = "2790329019123"
COMMAND = [sys.executable, "-c", "from hub.app.commands.main import main; main()"]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "maillage.toml"
    file.write_text(
        f'[storage]\ndatabase = "sqlite:///{tmp_path}/hub.sqlite"\ncontent = "{tmp_path}/content"\n'
        f'[[authorities]]\noid = "{A}"\nnamespace = "HOSP_A"\n'
    )
    return file


def maillage(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=150,
    )


def environment() -> dict[str, str]:
    found = {key: value for key, value in os.environ.items() if not key.startswith("MAILLAGE")}
    return {**found, "NO_COLOR": "1", "TERM": "dumb"}


def run(folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = maillage("patients", "import", *arguments, "--source", "HIS_A", "--json", cwd=folder)
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def rows(folder: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{folder}/hub.sqlite?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_csv_in_the_usual_french_form(settings: Path, tmp_path: Path) -> None:
    lines = [
        HEADING,
        f"1;LEFÈVRE;Hélène;15/03/1979;F;VALI;{NIR}{key_of(NIR)}",
        "2;MARTIN;Jean;1980-02-30x;M;PROV;",
        "3;DURAND;Zoé;1981;2;;",
        ";PETIT;Luc;1982-01-01;M;;",
        "5;GRAND;Luc;1982-01-01;Q;;",
    ]
    (tmp_path / "people.csv").write_bytes("\r\n".join(lines).encode("cp1252"))
    code, [told] = run(tmp_path, "people.csv", "--authority", A)
    assert (code, told["encoding"], told["taken"], told["refused"]) == (3, "cp1252", 2, 3)
    report = list(csv.DictReader((tmp_path / "people.csv.refused.csv").open(encoding="utf-8")))
    assert [(row["line"], row["code"], row["field"]) for row in report] == [
        ("3", "import-value", "birth_date"), ("5", "import-value", "id"), ("6", "import-value", "sex"),
    ]  # fmt: skip
    assert "MARTIN" not in (tmp_path / "people.csv.refused.csv").read_text()
    assert rows(tmp_path, "SELECT value, status, birth_date, sex FROM patients_identity ORDER BY value") == [
        ("1", "QUAL", "19790315", "F"), ("3", "PROV", "1981", "F"),
    ]  # fmt: skip
    code, [again] = run(tmp_path, "people.csv", "--authority", A)
    assert again["imported_before"]
    assert again["records_this_run"] == 0


def test_a_mapping_names_columns_and_values(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(
        'date_format = "%m/%d/%Y"\n[columns]\nid = "NUM"\nbirth_name = "NOM"\nbirth_date = "NE"\nsex = "S"\n'
        '[values.sex]\n"garçon" = "M"\n'
    )
    (tmp_path / "x.txt").write_text("NUM,NOM,NE,S\n7,DUBOIS,12/31/1999,garçon\n")
    code, [told] = run(tmp_path, "x.txt", "--authority", A, "--mapping", "map.toml")
    assert (code, told["taken"]) == (0, 1)
    assert rows(tmp_path, "SELECT birth_date, sex FROM patients_identity") == [("19991231", "M")]


def test_a_dry_run_keeps_nothing(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,birth_name,authority\n1,X,1.2.3\n2,DUBOIS," + A + "\n")
    code, [told] = run(tmp_path, "a.csv", "--dry-run")
    assert (code, told["taken"], told["refused"], told["refused_for"]) == (3, 1, 1, {"unknown-authority": 1})
    assert rows(tmp_path, "SELECT count(*) FROM patients_identity") == [(0,)]
    assert rows(tmp_path, "SELECT count(*) FROM patients_import") == [(0,)]


def test_hl7_in_a_batch(settings: Path, tmp_path: Path) -> None:
    sender = hl7.Sender(application="HIS_A", facility="A")
    people = [
        hl7.Patient(identifier=hl7.local(str(number), "HOSP_A", A), traits=identity("0").traits) for number in range(3)
    ]
    messages = [hl7.adt(sender, patient, "A28") for patient in people]
    lines = [b"FHS|^~\\&", b"BHS|^~\\&", *messages, b"MSH|^~\\&|||||||ORM^O01|1|P|2.5", b"BTS|4", b"FTS|1"]
    (tmp_path / "batch.hl7").write_bytes(b"\r\n".join(line.strip(b"\r").replace(b"\r", b"\r\n") for line in lines))
    code, [told] = run(tmp_path, "batch.hl7")
    assert (code, told["format"], told["taken"], told["refused_for"]) == (3, "hl7", 3, {"hl7-event": 1})
    assert rows(tmp_path, "SELECT count(*) FROM patients_identity") == [(3,)]


def test_hl7_counts_are_compared_and_a_file_that_was_cut_off_is_refused(settings: Path, tmp_path: Path) -> None:
    sender = hl7.Sender(application="HIS_A", facility="A")
    one, other = (
        hl7.adt(sender, hl7.Patient(identifier=hl7.local(number, "HOSP_A", A), traits=identity("0").traits), "A28")
        for number in "12"
    )

    def write(*lines: bytes) -> None:
        (tmp_path / "batch.hl7").write_bytes(b"\r".join(line.strip(b"\r") for line in lines))

    for whole in (b"FHS|^~\\&", one, b"FTS|0"), (b"BHS|^~\\&", one, other, b"BTS|02|all"), (b"BHS|^~\\&", one, b"BTS"):
        write(*whole)
        assert run(tmp_path, "batch.hl7")[1][0]["warnings"] == []
    for cut in (b"FHS|^~\\&", b"BHS|^~\\&", one, b"BTS|1"), (b"BHS|^~\\&", one), (b"FHS|^~\\&", one, b"\n"):
        write(*cut)
        done = maillage("patients", "import", "batch.hl7", "--source", "S", cwd=tmp_path)
        assert (done.returncode, "cut off" in done.stderr, "import-file" in done.stderr) == (1, True, True)
    batch = (b"BHS|^~\\&", one, other)
    write(b"FHS|^~\\&", *batch, b"BTS|2", *batch, b"BTS|3", b"FTS|3")
    code, [told] = run(tmp_path, "batch.hl7")
    assert (code, told["taken"]) == (0, 4)
    assert [words.split(": ", 1)[1] for words in told["warnings"]] == [
        "BTS-1 says 3, the file has 2", "FTS-1 says 3, the file has 2",
    ]  # fmt: skip
    done = maillage("patients", "import", "batch.hl7", "--source", "HIS_A", cwd=tmp_path)
    assert "warning: line" in done.stdout


def test_fhir_patients(settings: Path, tmp_path: Path) -> None:
    def patient(number: str, **more: Any) -> str:
        identifier = [{"system": f"urn:oid:{A}", "value": number}]
        return json.dumps({"resourceType": "Patient", "identifier": identifier, **more})

    name = [{"use": "official", "family": "MARTIN", "given": ["Anne"]}]
    lines = [patient("1", name=name, birthDate="1970-01-02"), "{", patient("2"), '{"resourceType": "Observation"}', ""]
    (tmp_path / "Patient.ndjson").write_text("\n".join(lines))
    code, [told] = run(tmp_path, "Patient.ndjson")
    assert (code, told["format"], told["taken"], told["refused"]) == (3, "ndjson", 1, 3)
    assert rows(tmp_path, "SELECT value, birth_date FROM patients_identity") == [("1", "19700102")]


def test_mistakes_are_told(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name\nX\n")
    done = maillage("patients", "import", "a.csv", "--source", "S", "--authority", A, cwd=tmp_path)
    assert (done.returncode, "import-columns" in done.stderr) == (1, True)
    done = maillage("patients", "import", "none.csv", "--source", "S", cwd=tmp_path)
    assert (done.returncode, "import-file" in done.stderr) == (1, True)


def test_another_feed_is_told_whose_the_authorities_are(settings: Path, tmp_path: Path) -> None:
    settings.write_text(settings.read_text() + 'application = "HIS"\nfacility = "A"\n')
    (tmp_path / "a.csv").write_text("id,birth_name,authority\n1,DUBOIS," + A + "\n")
    done = maillage("patients", "import", "a.csv", "--source", "HIS", cwd=tmp_path)
    assert (done.returncode, "authority-not-owned" in done.stdout) == (3, True), done.stderr
    assert "--source HIS|A" in done.stdout
    done = maillage("patients", "import", "a.csv", "--source", "HIS|A", cwd=tmp_path)
    assert (done.returncode, "belong to" in done.stdout) == (0, False), done.stderr


def test_killed_and_started_again(settings: Path, tmp_path: Path) -> None:
    count = 3_500
    lines = [f"{number},DUBOIS{number % 700},1980-01-{number % 28 + 1:02d}" for number in range(count)]
    (tmp_path / "many.csv").write_text("\n".join(["id,birth_name,birth_date", *lines]))
    maillage("db", "upgrade", cwd=tmp_path)
    arguments = ["patients", "import", "many.csv", "--source", "HIS_A", "--authority", A]
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(position >= 1000 for (position,) in rows(tmp_path, "SELECT position FROM patients_import")):
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    taken = rows(tmp_path, "SELECT count(*) FROM patients_identity")
    assert taken == rows(tmp_path, "SELECT position FROM patients_import")
    code, [told] = run(tmp_path, "many.csv", "--authority", A)
    assert (code, told["position"], told["created"], told["refused"]) == (0, count, count, 0)
    assert told["records_this_run"] == count - taken[0][0]
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT value) FROM patients_identity") == [(count, count)]
