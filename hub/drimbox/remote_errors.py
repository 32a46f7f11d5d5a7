"""What another DRIMbox says when it is asked for images."""

from hub.connector.contract import ConnectorError, SourceMisconfigured


class RemoteNotTrusted(SourceMisconfigured):
    """The address of the images is no source of the signed list: nothing is asked there."""

    code = "remote-not-trusted"
    title = "The images are kept by a system that is not on the list of trusted DRIMboxes."


class RemoteTokenRefused(ConnectorError):
    """The source does not accept the professional's token, or the hub's certificate (401, 403)."""

    code = "remote-refuses-reader"
    title = "The system that keeps the images does not let the reader in."


class RemoteUnknown(ConnectorError):
    """The source does not know the manifest or the images, or not for this reader (404)."""

    code = "remote-unknown"
    title = "The system that keeps the images does not know them."


class RemoteGone(ConnectorError):
    """The manifest was withdrawn (410)."""

    code = "remote-gone"
    title = "The study was withdrawn by who published it."
