"""The story, step by step, over real sockets. Each step checks what came back; nothing is taken on trust."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx

from hub.app.demo import feeds, national, people, steward, systems
from hub.app.demo.region import Hospital, Sites
from hub.app.demo.report import Report
from hub.app.demo.stage import Stage
from hub.app.wiring import Hub
from hub.testing.dmp.server import DmpSimulator
from hub.wire.hl7v2.client import MllpClient
from hub.wire.soap.client import SoapClient, spool_to


def tell(
    hub: Hub, sites: Sites, pair: tuple[Hospital, Hospital], report: Report, directory: Path, *, dmp: DmpSimulator
) -> None:
    """All of it. Raises StepFailed at the first step that did not happen."""
    host, _, port = hub.mllp_address().rpartition(":")
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(timeout=60.0, trust_env=False))
        spool = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stage = Stage(
            hub=hub,
            sites=sites,
            pair=pair,
            report=report,
            directory=directory,
            feeds=stack.enter_context(MllpClient(host, int(port))),
            http=http,
            soap=SoapClient(http, spool_to(spool)),
            dmp=dmp,
        )
        _both(stage, feeds.announce)
        feeds.cross_reference(stage)
        _both(stage, feeds.acquire)
        _both(stage, feeds.order)
        _both(stage, feeds.sign_report)
        _both(stage, feeds.published)
        people.clinician(stage)
        systems.find_documents(stage)
        systems.retrieve_documents(stage)
        _both(stage, systems.retrieve_images)
        systems.qido_and_wado(stage)
        systems.imaging_study(stage)
        systems.demographics(stage)
        national.tell(stage)
        steward.ask(stage)
        people.operator(stage)
        people.audit(stage)


def _both(stage: Stage, step: feeds.HospitalStep) -> None:
    for one in stage.pair:
        step(stage, one)
