"""A used assertion in real processes: killed as soon as it has answered, or several at once on one database."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

from hub.access.assertion_errors import AssertionReplayed
from hub.storage.engine import Database
from hub.values import now
from tests.access.test_assertions import ASSERTION, CLAIMS

#: Answers as the pipeline does: when what it promised is durable.
_ANSWER = """
import pickle, sys
from hub.access.assertion_errors import AssertionReplayed
from hub.storage.engine import Database
from tests.access.test_assertions import CLAIMS, NODE, TERMS, service
database = Database(sys.argv[1])
assertion = pickle.loads(bytes.fromhex(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
try:
    with database.holding():
        answer = service(database).admit(assertion, CLAIMS, TERMS, NODE, b"").id
except AssertionReplayed as error:
    answer = error.code
print(answer, flush=True)
sys.stdin.readline()
"""


def start(database: Database) -> subprocess.Popen[str]:
    import pickle

    assertion = replace(ASSERTION, issued_at=now(), not_on_or_after=now() + timedelta(minutes=30))
    url = database.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-c", _ANSWER, url, pickle.dumps(assertion).hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def ask(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_what_was_answered_is_refused_although_who_answered_was_killed(database: Database) -> None:
    first = start(database)
    try:
        ask(first)
        assert answer(first) == CLAIMS.subject
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    finally:
        end(first)
    second = start(database)
    try:
        ask(second)
        assert answer(second) == AssertionReplayed.code
    finally:
        end(second)


def test_of_several_processes_at_once_one_is_the_first(database: Database) -> None:
    processes = [start(database) for _ in range(3)]
    try:
        for process in processes:
            ask(process)
        answers = sorted(answer(process) for process in processes)
    finally:
        for process in processes:
            end(process)
    assert answers == [CLAIMS.subject, *[AssertionReplayed.code] * 2]
