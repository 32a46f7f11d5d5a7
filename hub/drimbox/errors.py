"""What can go wrong between DRIMboxes, and between a hospital's system and this one."""

from hub.errors import AccessDenied, Category, Conflict, Invalid, Misconfigured, NotFound


class CallUnfit(Invalid):
    """A contextual call lacks a field, or a field is not what it must be; ``context["fields"]``: their names."""

    code = "call-unfit"
    title = "The contextual call is not complete."


class CallUnknown(NotFound):
    """No such call, one that is over, or another session's: these look alike."""

    code = "call-unknown"
    title = "This call is not known here, or it is over: call again from the patient's record."


class CallContradicts(Conflict):
    """What the call says of the patient is not what is known; ``context["fields"]``: of what."""

    code = "call-contradicts"
    title = "What the calling system says of the patient is not what is known here."


class CallPersonUnknown(NotFound):
    """Nobody has the numbers of the call, and the calling system may not announce patients."""

    code = "call-person-unknown"
    title = "The patient of this call is not known here: the calling system must announce them first."


class SignInWithProvider(AccessDenied):
    """Another DRIMbox wants the token of a professional whom the provider of identities vouches for."""

    code = "remote-needs-provider"
    title = "Images of other regions are read by professionals who sign in with Pro Santé Connect."


class ManifestOfAnother(Conflict):
    """The manifest is about another person, as far as it says."""

    code = "manifest-of-another"
    title = "The manifest names another patient than the record that it is in."


class NoSuchArchive(NotFound):
    """Studies are not exported to a source of this name."""

    code = "no-such-archive"
    title = "Studies can't be exported to this archive."


class ArchiveStoresNothing(Misconfigured):
    """A source of drimbox.export_to has a connector that stores nothing."""

    code = "archive-stores-nothing"
    title = "The connector of an archive in drimbox.export_to can't store."


class NoLocalNumber(Conflict):
    """The person has no number, or several, of the archive's own authority."""

    code = "no-local-number"
    category = Category.AMBIGUOUS
    title = "The patient has no number at this archive, or several: without one nothing can be stored there."


class ExportInterrupted(Conflict):
    """The hub was stopped while it fetched the images."""

    code = "export-interrupted"
    title = "The hub stopped while it fetched the images: start the export again."


class ObjectNotStorable(Invalid):
    """A fetched object can't be read, or is not of the study that was asked for."""

    code = "object-not-storable"
    title = "An object of the study can't be stored."
