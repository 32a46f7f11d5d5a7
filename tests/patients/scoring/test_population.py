"""The made-up population is what it says."""

from collections import Counter, defaultdict
from itertools import islice

from hub.patients.ins_model import valid
from hub.patients.model import Identity
from hub.testing.population import Population, population


def test_the_same_seed_gives_the_same_people_and_another_gives_others() -> None:
    first = list(population(3, 400))
    assert first == list(population(3, 400))
    assert len(first) == 400
    assert first != list(population(4, 400))


def test_it_is_lazy() -> None:
    assert len(list(islice(iter(Population(seed=1, records=3_000_000)), 50))) == 50


def test_its_rates_are_as_described() -> None:
    made = list(population(5, 8000))
    identities = [identity for _, identity in made]
    of: defaultdict[int, list[Identity]] = defaultdict(list)
    for person, identity in made:
        of[person].append(identity)
    assert 1.5 < len(made) / len(of) < 1.9
    assert 0.42 < sum(identity.ins is not None for identity in identities) / len(made) < 0.56
    assert all(valid(identity.ins) for identity in identities if identity.ins)
    assert 0.08 < sum(identity.traits.birth_place.startswith("99") for identity in identities) / len(made) < 0.16
    status = Counter(identity.status.value for identity in identities)
    assert set(status) == {"QUAL", "VALI", "PROV", "RECUP"}
    numbers = Counter((item.identifier.value, item.identifier.authority) for item in identities)
    assert max(numbers.values()) == 1
    assert any(identity.traits.birth_given.startswith(("FILLE DE", "GARCON DE", "BEBE")) for identity in identities)
    assert any(identity.traits.multiple_birth for identity in identities)
    assert any(not identity.traits.birth_name.isascii() for identity in identities)
