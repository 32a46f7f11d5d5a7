"""Business acknowledgements: ZAM^Z01, Z02 and Z03 tell the sender of a document how far it came (CI-SIS, Transmission
de documents CDA en HL7 v2, 2.1)."""

from collections.abc import Mapping

from hub.imaging.sending_model import Outcome, Told
from hub.values import new_key, now
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.transmission import PROFILE
from hub.wire.hl7v2.writer import components, escape, segment

_WORDS: Mapping[Told, tuple[str, str]] = {
    Told.RECORD: ("ACK_RECEPTION_DMP", "Accusé de réception DMP"),
    Told.DELIVERY: ("ACK_RECEPTION_MSS", "Accusé de réception MSSanté"),
    Told.READING: ("ACK_LECTURE_MSS", "Accusé de lecture"),
}
_WHO: Mapping[Told, tuple[str, str]] = {
    Told.DELIVERY: ("DESTINATAIRE_MSS", "Destinataire MSSanté"),
    Told.READING: ("LECTEUR_MSS", "Lecteur du courriel MSSanté"),
}
_TABLES: Mapping[Told, str] = {
    Told.RECORD: "DMP_ERROR_CODE",
    Told.DELIVERY: "SMTPERRORCODE",
    Told.READING: "applicationErrorCondition",
}
#: SMTPERRORCODE and applicationErrorCondition: what the codes mean.
_MEANINGS: Mapping[str, str] = {
    "101": "Le serveur n'arrive pas à se connecter",
    "111": "Connexion refusée ou impossibilité d'ouvrir un flux SMTP",
    "420": "Problème de connexion de temporisation",
    "421": "Service indisponible",
    "422": "Boîte aux lettres pleine",
    "431": "Espace insuffisant sur le disque",
    "441": "Le serveur du destinataire ne répond pas",
    "442": "La connexion a été interrompue pendant la transmission",
    "450": "Boîte aux lettres non disponible",
    "451": "Action arrêtée : erreur de traitement",
    "452": "Manque de ressources système",
    "500": "Erreur de syntaxe",
    "501": "Erreur de syntaxe dans des paramètres",
    "510": "Mauvaise adresse courriel",
    "512": "Serveur du destinataire introuvable",
    "523": "Taille du courriel au-delà des limites du destinataire",
    "530": "Authentification requise",
    "541": "Message rejeté par le destinataire",
    "550": "Boîte aux lettres non disponible",
    "551": "Le destinataire n'est pas joignable par la messagerie sécurisée",
    "552": "Allocation de stockage dépassée",
    "553": "Nom de boîte aux lettres non valide",
    "554": "L'envoi a échoué",
    "900": "Version du document incorrecte lors d'une demande de remplacement/suppression",
    "901": "Auteur non autorisé à remplacer ou supprimer un document",
    "902": "Identifiant patient inconnu",
    "903": "INS non présent dans le document",
    "904": "L'INS transmis ne correspond pas exactement à celui stocké",
    "905": "L'INS transmis n'est pas complet",
    "906": "Erreur 'Autre'",
}
_YES_NO = "expandedYes-NoIndicator"
_SCHEME = "AckMetierZAM"


def business_acknowledgement(outcome: Outcome, *, application: str, facility: str) -> tuple[bytes, str]:
    """The message and its control id. ``application``, ``facility``: MSH-5 and MSH-6, those of the sender."""
    control_id, moment = new_key()[:20], writer.dtm(now())
    header = {
        3: "MAILLAGE",
        4: "MAILLAGE",
        5: escape(application),
        6: escape(facility),
        7: moment,
        9: f"ZAM^{outcome.told.value}^ZAM_Z01",
        10: control_id,
        11: "P",
        12: "2.6",
        17: "FRA",
        21: f"2.1^{PROFILE}",
    }
    answered = components("Y" if outcome.good else "N", "", _YES_NO)
    segments = [segment("EVN", {2: moment}), _obx(1, "CWE", _WORDS[outcome.told], outcome.control_id, answered)]
    if outcome.told in _WHO:
        mailbox = components("", "", "X.400", outcome.recipient)
        segments.append(_obx(2, "XTN", _WHO[outcome.told], "", mailbox))
    if not outcome.good:
        said = components(outcome.code, _MEANINGS.get(outcome.code, "Erreur"), _TABLES[outcome.told])
        segments.append(segment("ERR", {3: "207^Application error^messageErrorCondition", 4: "E", 5: said}))
    return writer.write(header, segments), control_id


def _obx(number: int, kind: str, word: tuple[str, str], about: str, value: str) -> str:
    return segment("OBX", {1: str(number), 2: kind, 3: components(*word, _SCHEME), 4: escape(about), 5: value, 11: "F"})
