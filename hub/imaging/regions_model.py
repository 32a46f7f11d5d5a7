"""Anatomic regions of a study by its series' Body Part Examined, in the codes of the French and the MADO value sets."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from hub.imaging.model import Series


class Region(StrEnum):
    """Region by which studies are searched for."""

    HEAD = "head and neck"
    CHEST = "upper trunk"
    ABDOMEN = "lower trunk"
    HEART = "heart"
    VESSELS = "vessels"
    BREAST = "breast"
    SPINE = "spine"
    ARM = "upper limb"
    LEG = "lower limb"
    WHOLE_BODY = "whole body"


#: JDV J695 (CI-SIS, DRIM-M); SNOMED CT.
FRENCH: Mapping[Region, tuple[str, str]] = {
    Region.HEAD: ("774007", "Tête et cou"),
    Region.CHEST: ("67734004", "Région thoracique"),
    Region.ABDOMEN: ("63337009", "Région abdominopelvienne"),
    Region.HEART: ("80891009", "Cœur"),
    Region.VESSELS: ("113257007", "Système cardiovasculaire"),
    Region.BREAST: ("76752008", "Sein"),
    Region.SPINE: ("737561001", "Colonne vertébrale et moelle"),
    Region.ARM: ("53120007", "Membre supérieur"),
    Region.LEG: ("61685007", "Membre inférieur"),
    Region.WHOLE_BODY: ("38266002", "Corps entier"),
}
#: High-Level Anatomic Regions and Systems (RAD MADO: Table 6.X.6.4-1); SNOMED CT.
MADO: Mapping[Region, tuple[str, str]] = {
    Region.HEAD: ("774007", "Head and neck"),
    Region.CHEST: ("67734004", "Upper trunk"),
    Region.ABDOMEN: ("63337009", "Lower trunk"),
    Region.HEART: ("80891009", "Heart"),
    Region.VESSELS: ("113257007", "Cardiovascular system"),
    Region.BREAST: ("76752008", "Breast"),
    Region.SPINE: ("1141981001", "Vertebral Column"),
    Region.ARM: ("53120007", "Upper limb"),
    Region.LEG: ("61685007", "Lower limb"),
    Region.WHOLE_BODY: ("38266002", "Entire body"),
}
#: Body Part Examined (PS3.16: Annex L) -> region.
_PARTS: Mapping[Region, str] = {
    Region.HEAD: "HEAD BRAIN NECK SKULL FACE SINUS ORBIT EAR HEADNECK JAW",
    Region.CHEST: "CHEST THORAX LUNG RIB STERNUM CLAVICLE UPPERTRUNK",
    Region.ABDOMEN: "ABDOMEN PELVIS LIVER KIDNEY ABDOMENPELVIS BLADDER PROSTATE LOWERTRUNK",
    Region.HEART: "HEART CORONARYARTERY",
    Region.VESSELS: "CARDIOVASCSYS",
    Region.BREAST: "BREAST",
    Region.SPINE: "SPINE CSPINE TSPINE LSPINE SSPINE COCCYX LUMBARSPINE",
    Region.ARM: "ARM HAND WRIST ELBOW SHOULDER FINGER FOREARM HUMERUS UPPERLIMB",
    Region.LEG: "LEG FOOT ANKLE KNEE HIP FEMUR TOE THIGH CALCANEUS TIBIA LOWERLIMB",
    Region.WHOLE_BODY: "WHOLEBODY BODY",
}
_REGION_OF = {part: region for region, parts in _PARTS.items() for part in parts.split()}


def regions(series: Iterable[Series]) -> tuple[Region, ...]:
    """The regions that the series name, each once."""
    found = (_REGION_OF.get(re.sub(r"[^A-Z]", "", item.body_part.upper())) for item in series)
    return tuple(dict.fromkeys(region for region in found if region is not None))
