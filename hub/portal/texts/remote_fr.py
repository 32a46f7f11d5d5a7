"""French: images that other regions keep, contextual calls, exports."""

from collections.abc import Mapping

REMOTE_FR: Mapping[str, str] = {
    "remote.open": "Ouvrir les images",
    "remote.open_what_is_there": "Ouvrir ce qui peut l'être",
    "remote.asked": "Réponses des systèmes qui conservent les images :",
    "remote.answers": "répond",
    "remote.again": "Demander à nouveau",
    "remote.narrowed": "Seulement ce que le logiciel appelant recherche :",
    "remote.others": "{count} autres documents",
    "remote.others_one": "1 autre document",
    "remote.others_none": "aucun autre document",
    "remote.all": "Tout afficher",
    "remote.study": "l'examen",
    "export.title": "Enregistrer dans une archive locale",
    "export.lead": "Les images sont enregistrées sous le numéro du patient dans l'archive ; leur numéro d'origine y "
    "reste inscrit.",
    "export.to": "Enregistrer dans {archive}",
    "export.state.fetching": "en cours de récupération",
    "export.state.sending": "en cours d'envoi à l'archive",
    "export.state.done": "enregistré",
    "export.state.failed": "non enregistré",
    "export.fetched": "{count} objets récupérés",
    "export.fetched_one": "1 objet récupéré",
    "export.fetched_none": "rien de récupéré pour l'instant",
    "export.stored": "{count} enregistrés",
    "export.stored_one": "1 enregistré",
    "export.stored_none": "aucun enregistré pour l'instant",
    "export.of": "sur {total}",
    "export.failed": "L'export n'a pas pu être effectué.",
    "error.call-unknown": "Cet appel n'est pas connu ici, ou il a expiré. Appelez à nouveau depuis le dossier du "
    "patient.",
    "error.call-contradicts": "Ce que le logiciel appelant dit du patient n'est pas ce qui est connu ici. Personne "
    "n'est affiché : faites vérifier l'identité.",
    "error.call-person-unknown": "Le patient de cet appel n'est pas connu ici : le logiciel appelant doit d'abord "
    "l'annoncer.",
    "error.remote-needs-provider": "Les images d'autres régions sont lues par les professionnels qui se connectent "
    "avec Pro Santé Connect.",
    "error.remote-not-trusted": "Les images sont conservées par un système qui n'est pas sur la liste blanche des "
    "DRIMbox.",
    "error.remote-refuses-reader": "Le système qui conserve les images ne vous laisse pas entrer.",
    "error.remote-unknown": "Le système qui conserve les images ne les connaît pas.",
    "error.remote-gone": "L'examen a été retiré par celui qui l'avait publié.",
    "error.manifest-of-another": "La référence d'examen désigne un autre patient que celui de ce dossier. Rien n'est "
    "ouvert.",
    "error.no-such-archive": "Les examens ne peuvent pas être exportés vers cette archive.",
    "error.archive-stores-nothing": "Rien ne peut être enregistré dans cette archive : sa connexion ne l'offre pas.",
    "error.no-local-number": "Le patient n'a pas de numéro dans cette archive, ou plusieurs : faites d'abord créer "
    "l'identité.",
    "error.export-interrupted": "Le serveur s'est arrêté pendant la récupération des images : relancez l'export.",
    "error.not-permitted-for-this-person": "Vous n'êtes pas, ou plus, autorisé à lire cet examen.",
    "error.object-not-storable": "Un objet de l'examen ne peut pas être enregistré.",
}
