"""What can go wrong with studies."""

from hub.errors import Ambiguous, Category, Conflict, HubError, Invalid, NotFound, Unavailable, Unsupported


class ImagingError(HubError):
    """Base of the room's errors."""

    code = "imaging-error"
    title = "The study can't be handled."


class UnknownStudy(ImagingError, NotFound):
    """No index row and no source knows this study."""

    code = "unknown-study"
    title = "The study is not known here."


class UnknownInstance(ImagingError, NotFound):
    """The source does not hold the instance, or not in this study or series (XDSDocumentUniqueIdError)."""

    code = "unknown-instance"
    title = "The source does not hold this instance."


class UnknownImagingSource(ImagingError, NotFound):
    """No configured source has this repository OID or name (XDSUnknownRepositoryId)."""

    code = "unknown-imaging-source"
    title = "No imaging document source has this identifier."


class StudyNotThereYet(ImagingError, Unavailable):
    """A report or an order is here, its images are not: later may work."""

    code = "study-not-there-yet"
    title = "No source holds the study's images yet."


class ImagesMissing(ImagingError, NotFound):
    """The images that a report or an order speaks of have not come for a day."""

    code = "images-missing"
    title = "The study's images did not come; when they have, try again."


class SeveralStudies(ImagingError, Ambiguous):
    """Several studies bear the accession number, and nothing tells which one is meant."""

    code = "several-studies"
    title = "Several studies bear this accession number; an operator must say which one is meant."


class UnknownReport(ImagingError, NotFound):
    """A report is taken back that its sender never sent here."""

    code = "unknown-report"
    title = "The document that is to be taken back is not known here from this sender."


class StudyHeld(ImagingError, Conflict):
    """The study can't be shared yet; its state says why."""

    code = "study-held"
    title = "The study is held back."


class ReportIncomplete(ImagingError, Invalid):
    """A report without anything that tells its study."""

    code = "report-incomplete"
    title = "The report names neither a study, nor an accession number, nor an order."


class OtherReport(ImagingError, Conflict):
    """A report came under the id of one that is registered, with other bytes: the first one stays."""

    code = "other-report"
    title = "Another document with this report's id is already here: a corrected report has an id of its own."


class TransferSyntaxNotPossible(ImagingError, Unsupported):
    """The instance can't be had in an acceptable transfer syntax (urn:dicom:wado:0007)."""

    code = "transfer-syntax-not-possible"
    title = "The instance can't be converted to an acceptable transfer syntax."


class SomeNotRetrieved(ImagingError):
    """The answer was sent without some of the instances: the trail's word, nobody is answered with it."""

    code = "some-not-retrieved"
    title = "Some of the instances could not be had."

    @classmethod
    def told_of(cls, failed: int, came: int) -> "SomeNotRetrieved":
        """With how many there were of each."""
        return cls(f"{failed} of {failed + came} instances could not be had.")


class NotRendered(ImagingError, Unsupported):
    """The object has no image that could be rendered."""

    code = "not-rendered"
    title = "This object can't be rendered."


class NoSuchFrame(ImagingError, NotFound):
    """The frame number is not in the instance."""

    code = "no-such-frame"
    title = "The instance has no such frame."


class SourceBusy(ImagingError, Unavailable):
    """Too many earlier questions to this source are still unanswered."""

    code = "source-busy"
    category = Category.TRANSIENT
    title = "The source has not answered earlier questions yet."


class ManifestUnreadable(ImagingError, Invalid):
    """The bytes are not a Key Object Selection document."""

    code = "manifest-unreadable"
    title = "This is not a readable manifest."


class ManifestNeeded(ImagingError, Invalid):
    """The caller reads by a manifest, and named none (KOS-SOPInstanceUID)."""

    code = "manifest-needed"
    title = "Name the manifest by which the images are asked for: its SOP Instance UID in KOS-SOPInstanceUID."


class UnknownManifest(ImagingError, NotFound):
    """No manifest of this study with this SOP Instance UID was published, or not for this caller."""

    code = "unknown-manifest"
    title = "No manifest of this study with this SOP Instance UID was published."


class ManifestGone(ImagingError, NotFound):
    """The manifest was published once, and was withdrawn or replaced since."""

    code = "manifest-gone"
    title = "This manifest is not published any more: look for the study's current one."


class OtherObject(ImagingError, Conflict):
    """An object came whose SOP Instance UID another object has already, with other bytes: the first one stays."""

    code = "other-object"
    title = "Another object with this SOP Instance UID is already here."


class SeveralPatients(ImagingError, Conflict):
    """Objects of one study bear the numbers of several patients: nothing of it is shared."""

    code = "several-patients"
    title = "The study's objects are about several patients."
