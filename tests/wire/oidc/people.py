"""Claims as Pro Santé Connect gives them, of persons who do not exist."""

from typing import Any


def exercise(profession: str, speciality: str, *activities: dict[str, Any]) -> dict[str, Any]:
    return {
        "codeProfession": profession,
        "codeCategorieProfessionnelle": "C",
        "nomDexercice": "ESSAI",
        "prenomDexercice": "Camille",
        "codeTypeSavoirFaire": "S",
        "codeSavoirFaire": speciality,
        "activities": list(activities),
    }


def activity(structure: str, name: str, sector: str = "SA07", **more: Any) -> dict[str, Any]:
    return {
        "codeModeExercice": "S",
        "codeSecteurDactivite": sector,
        "raisonSocialeSite": name,
        "ancienIdentifiantDeLaStructure": structure,
        **more,
    }


def claims(*exercises: dict[str, Any], number: str = "899700000001", **more: Any) -> dict[str, Any]:
    return {
        "sub": f"f:550dc1c8-d97b-4b1e-ac8c-8eb4471cf9dd:{number}",
        "preferred_username": number,
        "SubjectNameID": number,
        "given_name": "Camille",
        "family_name": "ESSAI",
        "SubjectRole": ["10^1.2.250.1.213.1.1.5.5"],
        "SubjectOrganization": "Cabinet Essai",
        "SubjectOrganizationID": "499700000001007",
        "Secteur_Activite": "SA07^1.2.250.1.71.4.2.4",
        "SubjectRefPro": {"codeCivilite": "M", "exercices": list(exercises)},
        **more,
    }


HOSPITAL = activity("1750100125", "CHU Essai", "SA01")
PRACTICE = activity("499700000001007", "Cabinet Essai")
TWO_PLACES = claims(exercise("10", "SM44", HOSPITAL, PRACTICE))
ONE_PLACE = claims(exercise("60", "", HOSPITAL) | {"prenomDexercice": "Alix"}, number="899700000002", given_name="Alix")
