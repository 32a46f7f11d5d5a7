"""Logs never hold a patient's data, whoever logs."""

import json
import logging
import sys

from hub.app.running.logs import JsonFormatter, correlation_id
from hub.errors import Invalid


def line(logger: str, text: str, *args: object, error: BaseException | None = None) -> dict[str, object]:
    raised = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(logger, logging.WARNING, __file__, 1, text, args, raised)
    loaded: dict[str, object] = json.loads(JsonFormatter().format(record))
    return loaded


def test_our_messages_keep_their_text_and_the_correlation_id() -> None:
    token = correlation_id.set("abc")
    try:
        told = line("hub.exchange.worker", "delivery %s is late", "d1")
    finally:
        correlation_id.reset(token)
    assert (told["message"], told["correlation_id"]) == ("delivery d1 is late", "abc")


def test_foreign_text_is_withheld() -> None:
    assert "DUPONT" not in json.dumps(line("pydicom", "Invalid value for PN: DUPONT^JEAN"))


def test_the_text_of_an_exception_is_withheld_unless_it_is_ours() -> None:
    try:
        try:
            int("DUPONT")
        except ValueError as cause:
            raise Invalid("PID-7 is not a date.") from cause
    except Invalid as error:
        told = json.dumps(line("hub.x", "failed", error=error))
    assert "DUPONT" not in told
    assert "PID-7 is not a date." in told
    assert "builtins.ValueError" in told
    assert sys._getframe().f_code.co_name in told
