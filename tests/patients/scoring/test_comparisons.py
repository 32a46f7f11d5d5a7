"""The levels of each comparison, on names as they are met in France."""

import itertools

import orjson
import pytest

from hub.patients.forms import known
from hub.patients.normalise import words
from hub.patients.scoring import prepared
from hub.patients.scoring.features import features, features_of_row, fictive
from hub.patients.scoring.kinds import KINDS, UNKNOWN
from hub.patients.scoring.phonetic import sound
from hub.testing.population import population
from tests.patients.scoring.people import someone


def level(kind: str, one: dict[str, str], other: dict[str, str]) -> str:
    rule = KINDS[kind]
    a, b = prepared(someone(**one)), prepared(someone(**other))
    number = rule.compare(a, b)
    assert number == rule.compare(b, a), "the order of the two says nothing"
    return "unknown" if number == UNKNOWN else rule.names[number]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"birth_name": "Lefèvre"}, {"birth_name": "LEFEVRE"}, "exact"),
        ({"birth_name": "Le Goff"}, {"birth_name": "LEGOFF"}, "exact"),
        ({"birth_name": "D'Hœur"}, {"birth_name": "D HOEUR"}, "exact"),
        ({"birth_name": "Morvan", "used_name": "Le Goff"}, {"birth_name": "Le Goff"}, "birth-and-used"),
        ({"birth_name": "A", "used_name": "Le Goff"}, {"birth_name": "B", "used_name": "LE GOFF"}, "birth-and-used"),
        ({"birth_name": "Anne", "birth_given": "Le Goff"}, {}, "swapped"),
        ({"birth_name": "Martin-Duval"}, {"birth_name": "Duval"}, "part"),
        ({"birth_name": "de La Tour"}, {"birth_name": "TOUR"}, "part"),
        ({"birth_name": "Kermarrec"}, {"birth_name": "Kermarec"}, "close"),
        ({"birth_name": "Thomas"}, {"birth_name": "Tomas"}, "close"),
        ({"birth_name": "Girard"}, {"birth_name": "Giraud"}, "close"),
        ({"birth_name": "Martin"}, {"birth_name": "Martel"}, "near"),
        ({"birth_name": "Morvan"}, {"birth_name": "Le Goff"}, "different"),
        ({"birth_name": "INCONNU"}, {}, "unknown"),
        ({"birth_name": "El Amrani"}, {"birth_name": "Van Damme"}, "different"),
    ],
)
def test_family_names(one: dict[str, str], other: dict[str, str], expected: str) -> None:
    assert level("name", one, other) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"birth_given": "Zoé"}, {"birth_given": "ZOE"}, "exact"),
        ({"birth_given": "Jean-Pierre"}, {"birth_given": "JEAN PIERRE"}, "exact"),
        ({"birth_given": "Jean-Pierre", "given_names": ""}, {"birth_given": "Jean", "given_names": ""}, "listed"),
        ({"birth_given": "Louise"}, {}, "listed"),
        ({"birth_given": "A", "given_names": ""}, {"given_names": ""}, "initial"),
        ({"birth_given": "Frédéric", "given_names": ""}, {"birth_given": "Fréderik", "given_names": ""}, "close"),
        ({"birth_given": "Marie", "given_names": ""}, {"given_names": ""}, "different"),
        ({"birth_given": "FILLE DE ANNE", "given_names": ""}, {}, "unknown"),
        ({"birth_name": "Anne", "birth_given": "Le Goff", "given_names": ""}, {"given_names": ""}, "unknown"),
    ],
)
def test_given_names(one: dict[str, str], other: dict[str, str], expected: str) -> None:
    assert level("given", one, other) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("19790315", "19790315", "exact"),
        ("19501231", "19501231", "fictive"),
        ("1950", "195000", "fictive"),
        ("19790305", "19790503", "day-month-swapped"),
        ("1979", "19790315", "partial"),
        ("19791231", "19790315", "partial"),
        ("19791332", "19790315", "partial"),  # lunar: a thirteenth month
        ("19790315", "19790316", "one-digit"),
        ("19790315", "19970315", "one-digit"),
        ("19790315", "19791122", "year"),
        ("19790315", "19500315", "day-and-month"),
        ("19790315", "19501122", "different"),
        ("", "19790315", "unknown"),
        ("nonsense", "19790315", "unknown"),
    ],
)
def test_birth_dates(one: str, other: str, expected: str) -> None:
    assert level("born", {"birth_date": one}, {"birth_date": other}) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("29019", "29019", "exact"),
        ("75056", "75113", "exact"),  # Paris and one of its arrondissements
        ("69123", "69383", "exact"),
        ("29019", "29232", "department"),
        ("97411", "97415", "department"),
        ("97411", "97209", "different"),
        ("99352", "99350", "different"),  # abroad is no département
        ("2A004", "2B033", "different"),
        ("99999", "29019", "unknown"),
    ],
)
def test_birth_places(one: str, other: str, expected: str) -> None:
    assert level("place", {"birth_place": one}, {"birth_place": other}) == expected


def test_homes_and_phones() -> None:
    assert level("home", {}, {}) == "address"
    assert level("home", {"address": "12 r de Siam"}, {}) == "address-close"
    assert level("home", {"address": ""}, {}) == "postcode"
    assert level("home", {"postal_code": "29000"}, {}) == "area"
    assert level("home", {"postal_code": "35000"}, {}) == "different"
    assert level("home", {"postal_code": ""}, {}) == "unknown"
    assert level("phone", {"phone": "+33 6 12 34 56 78"}, {}) == "exact"
    assert level("phone", {"phone": "0612345687"}, {}) == "one-digit"
    assert level("phone", {"phone": "0000000000"}, {}) == "unknown"
    assert level("sex", {"sex": "U"}, {}) == "unknown"
    assert level("ins", {"ins": "279032901912345"}, {"ins": "279032901912346"}) == "different"


def test_what_sounds_alike_has_one_code() -> None:
    for names in (
        ("DUPONT", "DUPOND"), ("LEFEVRE", "LEFEBVRE"), ("MATHIEU", "MATTHIEU"), ("GAUTHIER", "GAUTIER"),
        ("PHILIPPE", "FILIPE"), ("RENAUD", "RENAULT", "RENO"), ("SCHMITT", "SCHMIDT"), ("HENRI", "HENRY"),
    ):  # fmt: skip
        assert len({sound(name) for name in names}) == 1, names
    for one, other in (("JULIE", "JULIEN"), ("LOUIS", "LOUISE"), ("MARTIN", "MOREAU"), ("BERNARD", "BERTRAND")):
        assert sound(one) != sound(other)
    assert sound("") == ""


def test_what_names_nobody_is_nothing() -> None:
    record = features(someone(birth_name="SANS NOM", birth_given="BEBE", given_names="").traits)
    assert (record.name, record.given, record.newborn) == ("", "", True)
    assert features(someone(birth_name="", used_name="Le Goff").traits).name == "LEGOFF"
    assert fictive("19500101")
    assert not fictive("19500202")


def test_traits_as_stored_are_as_comparable() -> None:
    for _, identity in itertools.islice(population(3, 400), 400):
        ins = identity.ins.value if identity.ins else ""
        stored = orjson.loads(orjson.dumps(known(identity.traits)))
        assert features_of_row(stored, ins) == features(identity.traits, ins)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Œuvrard-d'Été", "OEUVRARD D ETE"),
        ("Straße", "STRASSE"),
        ("E\u0301milie", "EMILIE"),  # an accent of its own
        ("Łódź", "LODZ"),
        ("Đorđević", "DORDEVIC"),
        ("Зоя É", "ЗОЯ E"),
        ("١٢ rue", "١٢ RUE"),
    ],
)
def test_letters_of_any_script(text: str, expected: str) -> None:
    assert words(text) == expected
