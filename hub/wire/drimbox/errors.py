"""Why a list of trusted DRIMboxes is not believed."""

from hub.errors import Misconfigured


class WhiteListRefused(Misconfigured):
    """The list can't be read, is not signed as it must be, or by another than the settings name: nobody is trusted."""

    code = "white-list-refused"
    title = "The list of trusted DRIMboxes is not one that can be believed."
