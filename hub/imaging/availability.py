"""What an archive tells of its studies by itself (RAD-49): a notice has the study looked at again."""

from hub.context import Context
from hub.imaging.finding import Wanted
from hub.imaging.model import InstancesAvailable
from hub.imaging.service import ImagingService
from hub.usecase import use_case

ON_NOTICE = "ian"


class AvailabilityService:
    """RAD-49's use case. A notice is a hint, never believed: the source says what it holds."""

    def __init__(self, imaging: ImagingService) -> None:
        self.imaging = imaging

    @use_case
    def instances_available(self, command: InstancesAvailable, context: Context) -> None:
        """Look again at a study that is or was published; publish a new one where ``publish_on`` has ``ian``.

        ``source``: the one that the caller's certificate speaks for, else the one whose AE title the notice gives."""
        uid = command.study_instance_uid
        context.touch("study", uid)
        with self.imaging.database.transaction():
            known = self.imaging.look_again([uid], context)
            if known or not command.available or ON_NOTICE not in self.imaging.publish_on:
                return
            infos = self.imaging.archives.infos
            spoken_for = infos.get(context.principal.source)
            named = [info for info in infos.values() if info.ae_title and info.ae_title in command.retrieve_ae_titles]
            source = spoken_for or (named[0] if len(named) == 1 else None)
            wanted = Wanted(uid, authority=source.authority_oid if source else "", source=source.name if source else "")
            self.imaging.queue(wanted, context)
