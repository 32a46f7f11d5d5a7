"""The rights matrix for people: a page, and lines for a terminal."""

from collections.abc import Iterator, Sequence

from hub.access.region_rules import ALLOW_BEFORE, REFUSE_BEFORE
from hub.access.rules import RULES, Rule

TESTS = "tests/access/test_rules.py"


def page() -> str:
    """The matrix as Markdown, each line with the test that holds it."""
    lines = [
        "# Rights\n",
        "Who may read what of whom. One table for every transaction and every page: the first rule that holds decides. "
        "`maillage access explain` shows which one does for a professional and a patient, and why; "
        "[consent and opposition](../howto/consent-and-opposition.md) tells how patients' words come in.\n",
        "A rule that hides tells the caller nothing: what is hidden looks like what is not there.\n",
        f"A region's own rules ([how to](../howto/write-rules.md)) stand in the same table: those that refuse before "
        f"`{REFUSE_BEFORE}`, those that allow before `{ALLOW_BEFORE}`. `maillage access rules --settings FILE` prints "
        "them in their places.\n",
        "| | rule | then | why | source | test |",
        "|---|---|---|---|---|---|",
    ]
    for number, rule in enumerate(RULES, 1):
        then = "**shown**" if rule.allows else "hidden"
        test = f"[`test_rule[{rule.name}]`](../../{TESTS})"
        lines.append(f"| {number} | `{rule.name}` | {then} | {rule.why} | {rule.source} | {test} |")
    return "\n".join([*lines, ""])


def lines(rules: Sequence[Rule] = RULES) -> Iterator[str]:
    """The matrix at a terminal."""
    width = max(len(rule.name) for rule in rules)
    for number, rule in enumerate(rules, 1):
        yield f"{number:2} {rule.name:{width}} {'shown ' if rule.allows else 'hidden'} {rule.why}"
