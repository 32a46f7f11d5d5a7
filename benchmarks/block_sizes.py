"""How many strangers share a blocking key with a record, at sizes that are not built:
``python -m benchmarks.block_sizes [RECORDS]``.

Keys of a made-up population are counted. A record meets its own person's other records however large the index is; the
strangers that it meets are carried on to 3, 10 and 68 million persons in proportion: an upper bound, for the made-up
region has its births in four departements, a country has them in a hundred."""

import sys
from collections import Counter, defaultdict

from benchmarks.patient_filler import stored
from hub.patients.scoring import Scorer
from hub.patients.store_keys import CAP
from hub.testing.population import population

PERSONS = (3_000_000, 10_000_000, 68_000_000)


def blocks_of(records: int) -> tuple[int, dict[str, dict[int, Counter[int]]]]:
    """Persons; kind of key -> key -> person -> records."""
    scorer, persons = Scorer(), 0
    found: dict[str, dict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for person, identity in population(8, records):
        persons = max(persons, person)
        for kind, key in scorer.keys(stored(identity)):
            found[kind][key][person] += 1
    return persons, found


def strangers(block: Counter[int]) -> list[tuple[int, int]]:
    """(strangers met, records that meet so many) within a block."""
    total = sum(block.values())
    return [(total - own, own) for own in block.values()]


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    persons, found = blocks_of(records)
    print(f"{records:,} records of {persons:,} persons")
    heads = " | ".join(f"{size:,}" for size in PERSONS)
    print(f"| key | keys a record | strangers a record, counted | {heads} | records whose key passes {CAP} at 68 M |")
    print("|---|---|---|---|---|---|---|")
    every = 0.0
    for kind in sorted(found):
        met = [item for block in found[kind].values() for item in strangers(block)]
        keys = sum(number for _, number in met) / records
        mean = sum(size * number for size, number in met) / records
        most = PERSONS[-1] / persons
        capped = sum(number for size, number in met if size * most > CAP) / records
        every += mean
        scaled = " | ".join(f"{mean * size / persons:,.2f}" for size in PERSONS)
        print(f"| {kind} | {keys:.2f} | {mean:.4f} | {scaled} | {capped:.2%} |")
    print(f"| all | | {every:.4f} | {' | '.join(f'{every * size / persons:,.2f}' for size in PERSONS)} | |")


if __name__ == "__main__":
    main()
