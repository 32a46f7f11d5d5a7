"""The hub's own sentences about what went wrong, in French: a closed set, and a test holds the two equal.

What another system said, or holds a value, has no entry and is shown as it is, marked as English."""

import re
from collections.abc import Mapping

FRENCH: Mapping[str, str] = {
    # why a study is held back
    "The patient's number is not known to the hub yet.": "Le numéro du patient n'est pas encore connu du hub.",
    "The patient opposes that documents are shared.": "Le patient s'oppose à l'alimentation.",
    "The patient of the report is not known to the hub yet.": (
        "Le patient du compte rendu n'est pas encore connu du hub."
    ),
    "The images bear no patient number.": "Les images ne portent aucun numéro de patient.",
    "The report and the images are about different patients.": (
        "Le compte rendu et les images concernent des patients différents."
    ),
    "The report's accession number is not that of the images.": (
        "Le numéro de demande du compte rendu n'est pas celui des images."
    ),
    "The objects of the study are about different patients.": (
        "Les objets de l'examen concernent des patients différents."
    ),
    # what a source did
    "The person has no number there.": "La personne n'y a pas de numéro.",
    "The national record refused the request.": "Le DMP a refusé la demande.",
    "The person has no national record.": "La personne n'a pas de DMP.",
    "The person's national record is closed.": "Le DMP de la personne est fermé.",
    "The person opposes that their national record is fed.": "La personne s'oppose à l'alimentation de son DMP.",
    "The caller is not authorised on this national record.": "Le demandeur n'est pas autorisé sur ce DMP.",
    "The national record knows this document already.": "Le DMP connaît déjà ce document.",
    "The national record does not accept the hub's certificate.": "Le DMP n'accepte pas le certificat du hub.",
    "The document's metadata are not what the national record takes.": (
        "Les métadonnées du document ne sont pas celles que le DMP accepte."
    ),
    "The images are kept by a system that is not on the list of trusted DRIMboxes.": (
        "Les images sont conservées par un système qui n'est pas sur la liste blanche des DRIMbox."
    ),
    "The system that keeps the images does not let the reader in.": (
        "Le système qui conserve les images ne laisse pas entrer le lecteur."
    ),
    "The system that keeps the images does not know them.": "Le système qui conserve les images ne les connaît pas.",
    "The study was withdrawn by who published it.": "L'examen a été retiré par celui qui l'avait publié.",
    "The source refused the request.": "La source a refusé la demande.",
    "The source does not answer.": "La source ne répond pas.",
    "The source and the hub are not configured for each other.": (
        "La source et le hub ne sont pas configurés l'un pour l'autre."
    ),
    "The source's answer is inconsistent.": "La réponse de la source est incohérente.",
    "The source's answer is larger than its settings allow.": (
        "La réponse de la source dépasse la taille permise par sa configuration."
    ),
    "The source's answer holds an invalid identifier.": "La réponse de la source contient un identifiant non valide.",
    "The source sent an object of another study.": "La source a envoyé un objet d'un autre examen.",
    "The source is closed.": "La source est fermée.",
    "The hub is stopping.": "Le hub est en cours d'arrêt.",
    "All connections to the source are in use.": "Toutes les connexions à la source sont occupées.",
    "The source has not answered earlier questions yet.": "La source n'a pas encore répondu aux demandes précédentes.",
    "The study is being fetched by someone else.": "L'examen est déjà en cours de récupération.",
    "The deadline passed before the answer came.": "Le délai est passé avant la réponse.",
    "The deadline passed before the source had answered.": "Le délai est passé avant la réponse de la source.",
    "The deadline passed within a C-MOVE.": "Le délai est passé pendant un C-MOVE.",
    "The source delivers by C-MOVE only: the process that fetches from it needs the role dimse as well.": (
        "La source ne livre que par C-MOVE : le processus qui la lit a aussi besoin du rôle dimse."
    ),
    # DICOM and DICOMweb
    "The DICOM association failed.": "L'association DICOM a échoué.",
    "The peer rejected the DICOM association.": "Le système distant a refusé l'association DICOM.",
    "The DICOM peer did not answer in time.": "Le système DICOM n'a pas répondu à temps.",
    "The DICOM peer can't be reached.": "Le système DICOM est injoignable.",
    "The DICOM peer does not take the connection.": "Le système DICOM n'accepte pas la connexion.",
    "The DICOM peer closed the connection.": "Le système DICOM a fermé la connexion.",
    "The DICOM peer reports a failure.": "Le système DICOM signale un échec.",
    "The connection to the DICOM peer broke.": "La connexion au système DICOM s'est rompue.",
    "The deadline passed before the DICOM peer had answered.": "Le délai est passé avant la réponse du système DICOM.",
    "The deadline passed before the DICOM peer was asked.": "Le délai est passé avant la demande au système DICOM.",
    "The peer aborted the association.": "Le système distant a interrompu l'association.",
    "The peer accepts no presentation context for this.": (
        "Le système distant n'accepte aucun contexte de présentation pour cela."
    ),
    "The peer accepted none of the presentation contexts.": (
        "Le système distant n'a accepté aucun contexte de présentation."
    ),
    "The PACS sends no object by C-GET; use C-MOVE.": "Le PACS n'envoie rien par C-GET ; utilisez C-MOVE.",
    "The DICOMweb server can't be reached.": "Le serveur DICOMweb est injoignable.",
    "The DICOMweb server can't answer now.": "Le serveur DICOMweb ne peut pas répondre pour le moment.",
    "The DICOMweb server refused the request.": "Le serveur DICOMweb a refusé la demande.",
    "The DICOMweb server did not answer in time.": "Le serveur DICOMweb n'a pas répondu à temps.",
    "The DICOMweb server's answer took too long.": "La réponse du serveur DICOMweb a pris trop de temps.",
    "The DICOMweb server's answer is too large.": "La réponse du serveur DICOMweb est trop grande.",
    "The DICOMweb server's answer is not JSON.": "La réponse du serveur DICOMweb n'est pas du JSON.",
    "The TLS connection to the DICOMweb server failed: a certificate is not trusted.": (
        "La connexion TLS au serveur DICOMweb a échoué : un certificat n'est pas reconnu."
    ),
    # collectors of the audit trail
    "The collector does not answer in time.": "Le collecteur ne répond pas à temps.",
    "The collector's answer does not say what became of each event.": (
        "La réponse du collecteur ne dit pas ce que chaque trace est devenue."
    ),
    "The collector answers too much.": "La réponse du collecteur est trop grande.",
    "The hub failed; its log says how.": "Le hub a échoué ; son journal dit comment.",
    # messages and deliveries
    "The hub failed; quote the correlation id to its operator.": (
        "Le hub a échoué ; indiquez l'identifiant de corrélation à son exploitant."
    ),
    "No source holds the study's images yet.": "Aucune source ne détient encore les images de l'examen.",
    "The study's images did not come; when they have, try again.": (
        "Les images de l'examen ne sont pas arrivées ; réessayez quand elles seront là."
    ),
    "Several studies bear this accession number; an operator must say which one is meant.": (
        "Plusieurs examens portent ce numéro de demande ; un exploitant doit dire lequel est visé."
    ),
    "The study's objects are about several patients.": "Les objets de l'examen concernent plusieurs patients.",
    "The study is not known here.": "L'examen n'est pas connu ici.",
    "The study is held back.": "L'examen est retenu.",
    "The report names neither a study, nor an accession number, nor an order.": (
        "Le compte rendu ne nomme ni examen, ni numéro de demande, ni prescription."
    ),
    "No imaging document source has this identifier.": "Aucune source d'images n'a cet identifiant.",
    "The assigning authority is not configured.": "L'autorité d'affectation n'est pas configurée.",
    "The assigning authority does not belong to the sending system.": (
        "L'autorité d'affectation n'appartient pas au système émetteur."
    ),
    "The patient identifier is not known.": "L'identifiant du patient n'est pas connu.",
    "A merge needs two different numbers of one assigning authority.": (
        "Une fusion demande deux numéros différents d'une même autorité d'affectation."
    ),
    "The bytes are not an HL7 v2 message.": "Les octets reçus ne sont pas un message HL7 v2.",
    "A field of the HL7 message is not valid.": "Un champ du message HL7 n'est pas valide.",
    "A required field is empty.": "Un champ obligatoire est vide.",
    "A segment is missing.": "Un segment manque.",
    "A field does not have the form of its data type.": "Un champ n'a pas la forme de son type de données.",
    "A value is not in its HL7 table.": "Une valeur n'est pas dans sa table HL7.",
    "The message is not in the character set that it names.": (
        "Le message n'est pas dans le jeu de caractères qu'il annonce."
    ),
    "The HL7 message is larger than the limit.": "Le message HL7 dépasse la taille permise.",
    "The HL7 v2 peer can't be reached.": "Le système HL7 v2 est injoignable.",
    "The HL7 v2 peer did not answer in time.": "Le système HL7 v2 n'a pas répondu à temps.",
    "No transaction of this hub takes this event.": "Aucune transaction de ce hub ne traite cet événement.",
    "No transaction of this hub takes this message type.": (
        "Aucune transaction de ce hub ne traite ce type de message."
    ),
    # what is wrong with a message of HL7 v2
    "The message does not begin with an MSH segment.": "Le message ne commence pas par un segment MSH.",
    "A hexadecimal escape sequence is not text.": "Une séquence d'échappement hexadécimale n'est pas du texte.",
    "A control character is not allowed.": "Un caractère de contrôle n'est pas permis.",
    "A field repeats too often.": "Un champ se répète trop souvent.",
    "The segment may stand once.": "Ce segment ne peut figurer qu'une fois.",
    "The segment does not stand where it should.": "Ce segment n'est pas à sa place.",
    "The assigning authority is not an OID.": "L'autorité d'affectation n'est pas un OID.",
    "PID-8 is not a value of HL7 table 0001.": "PID-8 n'est pas une valeur de la table HL7 0001.",
    "The patient's name is missing.": "Le nom du patient est absent.",
    "The hospital's own patient number is missing.": "Le numéro de patient de l'établissement est absent.",
    "The original trigger event is missing.": "L'événement d'origine est absent.",
    "The order has neither a placer's nor a filler's number.": (
        "La demande n'a ni numéro de demandeur ni numéro d'exécutant."
    ),
    "The embedded document is not valid Base64.": "Le document joint n'est pas du Base64 valide.",
    "An embedded document must be encoded in Base64.": "Un document joint doit être encodé en Base64.",
    "The document is not a CDA.": "Le document n'est pas un CDA.",
    "No OBX of type ED carries the report.": "Aucun OBX de type ED ne porte le compte rendu.",
    "No OBX carries the document.": "Aucun OBX ne porte le document.",
    "An identifier is empty.": "Un identifiant est vide.",
    "A time of day is out of range.": "Une heure n'existe pas.",
    "A month or day is out of range.": "Un mois ou un jour n'existe pas.",
    "A time must have the form YYYY[MM[DD[HH[MM[SS]]]]][+ZZZZ].": (
        "Une date et heure s'écrit AAAA[MM[JJ[HH[MM[SS]]]]][+ZZZZ]."
    ),
    "A birth date must have the form YYYY[MM[DD]].": "Une date de naissance s'écrit AAAA[MM[JJ]].",
    # why a steward is asked
    "same INS or strict traits within one authority": "même INS ou mêmes traits stricts dans un même établissement",
    "same INS, contradicting strict traits": "même INS, traits stricts qui se contredisent",
    "matches an identity whose person it may not join": (
        "ressemble à une identité dont elle ne peut pas rejoindre la personne"
    ),
    "same strict traits, different INS": "mêmes traits stricts, INS différentes",
    "the score says yes, within one authority": "le score dit oui, dans un même établissement",
    "the score does not decide": "le score ne tranche pas",
    "of one person, with contradicting strict traits": "réunies, avec des traits stricts qui se contredisent",
    "linked by a score that is lower now": "reliées par un score qui a baissé",
    "linked once, and now different INS": "reliées, et portant désormais des INS différentes",
    "linked to a merged number, contradicts the survivor": "reliée à un numéro fusionné, contredit le numéro conservé",
    "linked to a number that its owner links to somebody else": (
        "reliée à un numéro que son établissement relie à quelqu'un d'autre"
    ),
    "an owner's word and a no-match contradict each other": (
        "l'établissement et un gestionnaire disent le contraire l'un de l'autre"
    ),
    "the number seems to be somebody else's now": "le numéro semble désormais être celui de quelqu'un d'autre",
    "Authentication is required.": "Une authentification est nécessaire.",
    "These credentials are not valid.": "Ces justificatifs ne sont pas valides.",
    "Access is denied.": "L'accès est refusé.",
    "This link belongs to another session.": "Ce lien appartient à une autre session.",
    "There is no such date.": "Cette date n'existe pas.",
    "The bearer token has expired.": "Le jeton d'accès a expiré.",
}

_WITH_VALUES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"The source says (\d+) instances and lists (\d+)\."),
        r"La source annonce \1 instances et en liste \2.",
    ),
    (
        re.compile(r"The source announced (\d+) instances and sent (\d+)\."),
        r"La source a annoncé \1 instances et en a envoyé \2.",
    ),
    (re.compile(r"The DICOMweb server answers (\d{3})\."), r"Le serveur DICOMweb répond \1."),
    (re.compile(r"The collector answers (\d{3})\."), r"Le collecteur répond \1."),
    (
        re.compile(r"The collector took (\d+) of (\d+) events\."),
        "Traces prises par le collecteur\u00a0: \\1 sur \\2.",
    ),
    (
        re.compile(r"The collector took (\d+) of (\d+) events\. It answers (\d{3})\."),
        "Traces prises par le collecteur\u00a0: \\1 sur \\2. Il répond \\3.",
    ),
    # what the system or OpenSSL says stays in English
    (re.compile(r"The collector does not answer: (.+)\."), "Le collecteur ne répond pas\u00a0: \\1."),
    (
        re.compile(r"The collector's certificate is not good: (.+)\."),
        "Le certificat du collecteur n'est pas bon\u00a0: \\1.",
    ),
    (re.compile(r"TLS with the collector failed: (.+)\."), "La connexion TLS au collecteur a échoué\u00a0: \\1."),
    (
        re.compile(r"The hub's own files for TLS with the collector can't be used: (.+)\."),
        "Les fichiers du hub pour la connexion TLS au collecteur sont inutilisables\u00a0: \\1.",
    ),
    (re.compile(r"strict trait changed: ([a-z-]+)"), "trait strict modifié\u00a0: \\1"),
    (
        re.compile(r"refused: (\S+) would join different INS"),
        "refusé\u00a0: \\1 aurait réuni deux INS différentes",
    ),
    (re.compile(r"The ([A-Z][A-Z0-9]{2}) segment is missing\."), r"Le segment \1 est absent."),
    (re.compile(r"The permission ([a-z.-]+) is needed\."), r"La permission \1 est nécessaire."),
)


def french(sentence: str) -> str | None:
    """The sentence in French; None for one that is not of the closed set."""
    known = FRENCH.get(sentence)
    if known is not None:
        return known
    for pattern, text in _WITH_VALUES:
        match = pattern.fullmatch(sentence)
        if match:
            return match.expand(text)
    return None
