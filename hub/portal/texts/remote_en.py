"""English: images that other regions keep, contextual calls, exports."""

from collections.abc import Mapping

REMOTE_EN: Mapping[str, str] = {
    "remote.open": "Open the images",
    "remote.open_what_is_there": "Open what can be had",
    "remote.asked": "What the systems said that keep the images:",
    "remote.answers": "answers",
    "remote.again": "Ask again",
    "remote.narrowed": "Only what the calling system looks for:",
    "remote.others": "{count} other documents",
    "remote.others_one": "1 other document",
    "remote.others_none": "no other document",
    "remote.all": "Show everything",
    "remote.study": "the study",
    "export.title": "Store in a local archive",
    "export.lead": "The images are stored under the patient's number at the archive; their own number stays in them.",
    "export.to": "Store at {archive}",
    "export.state.fetching": "being fetched",
    "export.state.sending": "on its way to the archive",
    "export.state.done": "stored",
    "export.state.failed": "not stored",
    "export.fetched": "{count} objects fetched",
    "export.fetched_one": "1 object fetched",
    "export.fetched_none": "nothing fetched yet",
    "export.stored": "{count} stored",
    "export.stored_one": "1 stored",
    "export.stored_none": "none stored yet",
    "export.of": "of {total}",
    "export.failed": "The export could not be carried out.",
    "error.call-unknown": "This call is not known here, or it is over. Call again from the patient's record.",
    "error.call-contradicts": "What the calling system says of the patient is not what is known here. Nobody is shown: "
    "have the identity checked.",
    "error.call-person-unknown": "The patient of this call is not known here: the calling system must announce them "
    "first.",
    "error.remote-needs-provider": "Images of other regions are read by professionals who sign in with Pro Santé "
    "Connect.",
    "error.remote-not-trusted": "The images are kept by a system that is not on the list of trusted DRIMboxes.",
    "error.remote-refuses-reader": "The system that keeps the images does not let you in.",
    "error.remote-unknown": "The system that keeps the images does not know them.",
    "error.remote-gone": "The study was withdrawn by who published it.",
    "error.manifest-of-another": "The manifest names another patient than the record that it is in. Nothing is opened.",
    "error.no-such-archive": "Studies can't be exported to this archive.",
    "error.archive-stores-nothing": "This archive can't be stored to: its connection offers no storing.",
    "error.no-local-number": "The patient has no number at this archive, or several: have the identity created there "
    "first.",
    "error.export-interrupted": "The hub stopped while it fetched the images: start the export again.",
    "error.not-permitted-for-this-person": "You may not, or no longer, read this study.",
    "error.object-not-storable": "An object of the study can't be stored.",
}
