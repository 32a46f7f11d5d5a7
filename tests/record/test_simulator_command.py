"""``python -m hub.testing.dmp``: an integrator's simulator of the national record, in the background if wanted."""

import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_end(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-m", "hub.testing.dmp", "--port", "0", "--pki", str(tmp_path / "pki")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        facts = json.loads(simulator.stdout.readline())
        trust = ssl.create_default_context(cafile=facts["ca"])
        trust.load_cert_chain(facts["authentication"]["cert"], facts["authentication"]["key"])
        assert httpx.get(facts["url"], verify=trust).status_code < 500  # its input ended long ago
        simulator.send_signal(end)
        assert simulator.stdout.read() == ""
    assert simulator.returncode == 0
