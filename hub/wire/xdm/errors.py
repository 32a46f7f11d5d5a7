"""What can be wrong with a package."""

from hub.errors import Invalid, TooLarge


class PackageInvalid(Invalid):
    """The file is not an XDM package (ITI TF-2: 3.32.4.1.2), or what it says of its documents is not so."""

    code = "xdm-package"
    title = "The file is not a valid XDM package."


class PackageTooLarge(TooLarge):
    """The package is larger unpacked, or has more parts, than is read."""

    code = "xdm-package-too-large"
    title = "The package is larger than the limit."
