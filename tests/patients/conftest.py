"""A small region: three hospitals, and what they say of people."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.ins_model import key_of
from hub.patients.model import Authority, Fed, FeedIdentity, Identity, IdentityStatus, Traits
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.values import PatientIdentifier

DOMAIN = "1.2.250.1.999.1.1"
A, B, C = "1.2.250.1.999.10.1", "1.2.250.1.999.10.2", "1.2.250.1.999.10.3"
NIR = "1.2.250.1.213.1.4.8"
MARIE = Traits(
    birth_name="Le Goff",
    birth_given="Marie-Hélène",
    given_names="Marie-Hélène Jeanne",
    used_name="Dupont",
    birth_date="19790315",
    sex="F",
    birth_place="29019",
)


def ins(matricule: str = "2790329019123", oid: str = NIR) -> PatientIdentifier:
    return PatientIdentifier(matricule + key_of(matricule), oid, "INS")


def identity(value: str, authority: str = A, traits: Traits = MARIE, **more: Any) -> Identity:
    changes = {key: more.pop(key) for key in list(more) if key in {item.name for item in dataclasses.fields(Traits)}}
    more.setdefault("status", IdentityStatus.VALIDATED)
    return Identity(PatientIdentifier(value, authority), dataclasses.replace(traits, **changes), **more)


@pytest.fixture
def directory(database: Database) -> AuthorityDirectory:
    authorities = [Authority(A, "HOSP_A"), Authority(B, "HOSP_B"), Authority(C, "HOSP_C", feed="HIS_C")]
    return AuthorityDirectory(database=database, configured=authorities)


@pytest.fixture
def patients(database: Database, directory: AuthorityDirectory) -> PatientService:
    return PatientService(database=database, directory=directory, affinity_domain=DOMAIN)


@pytest.fixture(params=["alone", "ahead"])
def feed(patients: PatientService, request: pytest.FixtureRequest) -> Callable[[Identity], Fed]:
    """One feed; ``ahead``: looked at before, as where several share a unit of work."""

    def one(identity: Identity) -> Fed:
        command, context = FeedIdentity(identity), Context(source="HIS_C")
        with patients.database.transaction():
            if request.param == "ahead":
                patients.ahead([(command, context)])
            return patients.feed(command, context)

    return one
