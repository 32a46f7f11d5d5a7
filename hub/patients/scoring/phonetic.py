"""A code for how a French name sounds: the same for names that are heard alike. For finding, never for weighing.

Own rules, in the spirit of the published French codes (FONEM, Population 36-6, 1981): applied in order, once."""

import re
from functools import lru_cache

_RULES = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"[^A-Z]", ""),
        (r"^H", ""),
        (r"(.)\1+", r"\1"),
        (r"PH", "F"),
        (r"BV", "V"),
        (r"SCH|SH|CH(?![RL])", "9"),
        (r"CH|CK|QU?|C(?![EIY])", "K"),
        (r"SC(?=[EIY])|C", "S"),
        (r"TION", "SION"),
        (r"GN", "N"),
        (r"GU(?=[EIY])", "G"),
        (r"GE(?=[AOU])|G(?=[EIY])", "J"),
        (r"W", "V"),
        (r"Y", "I"),
        (r"(?<=[^S])H|(?<=S)H", ""),
        (r"(?<=[AEIOU])S(?=[AEIOU])", "Z"),
        (r"E?AUL?[XDT]?[SX]?$|E?AU|OT[SZ]?$|O[SZ]$", "O"),
        (r"OEU|EU", "E"),
        (r"OU", "U"),
        (r"(?:E?AIN|EIN|IN|IM|UN|UM)(?![AEIOUNM])", "2"),
        (r"(?:AN|EN|AM|EM)(?![AEIOUNM])", "1"),
        (r"(?:ON|OM)(?![AEIOUNM])", "3"),
        (r"AI|EI|E[RTZ]S?$", "E"),
        (r"IL+(?=[AEOU])", "I"),
        (r"(?<=.)(?:E?[STDXPZ]+)$", ""),
        (r"(?<=..)ES?$", ""),
        (r"(?<=[^E])E(?=[^AEIOU123][AEIOU123])", ""),
        (r"(.)\1+", r"\1"),
    )
)
_MOST = 8


@lru_cache(maxsize=1 << 16)
def sound(name: str) -> str:
    """The code of a glued name (upper case, no accents): ``DUPONT`` and ``DUPOND``, ``LEFEVRE`` and ``LEFEBVRE``.

    Up to eight signs; a name without letters gives ""."""
    code = name
    for pattern, replacement in _RULES:
        code = pattern.sub(replacement, code)
    return (code or name)[:_MOST]
