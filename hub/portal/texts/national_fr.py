"""French: reading in the national record."""

from collections.abc import Mapping

NATIONAL_FR: Mapping[str, str] = {
    "national.title": "Dans le dossier médical partagé (DMP)",
    "national.look": "Le voir dans le DMP : masqué, visible, archivé",
    "national.search": "Chercher dans le DMP",
    "national.failed": "Le DMP n'a pas pu être interrogé. La frise de la région est complète sans lui.",
    "national.no_number": "L'identité de la personne n'est pas qualifiée : sans INS, le DMP ne peut pas être "
    "interrogé.",
    "national.standing.missing": "La personne n'a pas de DMP.",
    "national.standing.closed": "Le DMP de la personne est fermé.",
    "national.forbidden": "La personne a bloqué votre accès à son DMP.",
    "national.not_authorised": "Vous n'êtes pas autorisé sur le DMP de cette personne. Si vous participez à sa "
    "prise en charge, et avec son accord, vous pouvez le déclarer : le DMP garde votre nom, et la personne le "
    "voit.",
    "national.authorise": "Je participe à sa prise en charge : ouvrir son DMP",
    "national.withdraw": "Je ne participe plus à sa prise en charge",
    "national.since": "Depuis le {day}",
    "national.everything": "Toutes années",
    "national.count": "{count} documents",
    "national.count_one": "1 document",
    "national.count_none": "aucun document",
    "national.study": "Examen d'imagerie",
    "national.open_study": "Ouvrir l'examen",
    "national.here": "aussi dans la région",
    "national.own": "envoyé par cette région",
    "national.more": "20 de plus",
    "national.whole": "Chercher sur toutes les années",
    "national.from": "Ce document vient du DMP",
    "national.elsewhere": "Les images sont conservées ailleurs :",
    "national.status.approved": "valide",
    "national.status.deprecated": "remplacé",
    "national.status.archived": "archivé",
    "national.mask.MASQUE_PS": "masqué aux professionnels",
    "national.mask.INVISIBLE_PATIENT": "pas encore visible du patient",
    "national.mask.INVISIBLE_REPRESENTANTS_LEGAUX": "non visible des représentants légaux",
    "national.told.authorised": "Le DMP vous connaît maintenant comme autorisé.",
    "national.told.withdrawn": "Votre autorisation sur ce DMP est retirée.",
    "national.told.changed": "Le DMP a été modifié.",
    "national.changes": "Modifier ce que montre le DMP",
    "national.changes_lead": "Cette région a envoyé le document. Ce que vous modifiez ici ne change que dans le DMP.",
    "national.change.mask": "Masquer aux professionnels",
    "national.change.unmask": "Démasquer aux professionnels",
    "national.change.hide": "Cacher au patient pour le moment",
    "national.change.show": "Rendre visible au patient",
    "national.change.archive": "Archiver",
    "national.change.restore": "Désarchiver",
    "national.delete": "Supprimer…",
    "national.change.delete": "Supprimer du DMP",
    "error.record-consultation-not-open": "Le DMP n'est consultable que par les professionnels connectés avec Pro "
    "Santé Connect : le DMP veut savoir qui lit.",
    "error.record-number-missing": "L'identité de la personne n'est pas qualifiée : sans INS, le DMP ne peut pas "
    "être interrogé.",
    "error.record-document-not-found": "Le DMP ne vous montre pas ce document.",
    "error.record-refused": "Le DMP a refusé la demande.",
    "error.record-missing": "La personne n'a pas de DMP.",
    "error.record-closed": "Le DMP de la personne est fermé.",
    "error.record-not-authorised": "Vous n'êtes pas autorisé sur le DMP de cette personne.",
    "error.record-certificate-refused": "Le DMP n'accepte pas le certificat de cette plateforme : prévenez "
    "l'exploitant.",
    "national.error.source-unavailable": "Le DMP ne répond pas. Réessayez plus tard.",
}
