"""What really happened: each step with what was sent, what came back, identifiers, counts and milliseconds."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hub.errors import HubError
from hub.values import now


class StepFailed(Exception):
    """A step did not do what the story says; the message says what was expected and what came."""


@dataclass
class Step:
    """One step of the story."""

    number: int
    title: str
    actor: str
    protocol: str
    state: str = "running"  #: running, done, failed, skipped
    sent: str = ""
    received: str = ""
    identifiers: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    link: str = ""
    milliseconds: int = 0
    error: str = ""

    def expect(self, truth: object, message: str) -> None:
        """Raise StepFailed with the message unless it holds."""
        if not truth:
            raise StepFailed(message)


class Report:
    """Runs the steps, shows progress, and keeps what happened."""

    def __init__(self, console: Console, title: str) -> None:
        self.console = console
        self.title = title
        self.started = now()
        self.facts: dict[str, Any] = {}
        self.steps: list[Step] = []

    @contextmanager
    def step(self, title: str, actor: str, protocol: str) -> Iterator[Step]:
        """One step: timed, its failure noted and raised on as StepFailed."""
        step = Step(len(self.steps) + 1, title, actor, protocol)
        self.steps.append(step)
        begin = time.monotonic()
        with self.console.status(f"{step.number:2d}  {title} ..."):
            try:
                yield step
                step.state = "done"
            except Exception as error:
                step.state = "failed"
                step.error = error.message if isinstance(error, HubError) else f"{type(error).__name__}: {error}"
                raise StepFailed(f"step {step.number}, {title}: {step.error}") from error
            finally:
                step.milliseconds = int((time.monotonic() - begin) * 1000)
                self._show(step)

    def _show(self, step: Step) -> None:
        mark = {"done": "[green]✓[/]", "failed": "[red]✗[/]"}.get(step.state, "[yellow]–[/]")
        detail = step.error or step.received
        self.console.print(
            f"{mark} {step.number:2d}  [bold]{step.title}[/]  [dim]{step.protocol}, {step.milliseconds} ms[/]"
        )
        if detail:
            self.console.print(f"        {detail}", style="red" if step.error else "dim", highlight=False)

    @property
    def succeeded(self) -> bool:
        """Whether every step was done, and there was at least one."""
        return bool(self.steps) and all(step.state == "done" for step in self.steps)

    def write(self, path: Path) -> None:
        """The report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "title": self.title,
            "started": self.started.isoformat(),
            "finished": now().isoformat(),
            "succeeded": self.succeeded,
            **self.facts,
            "steps": [asdict(step) for step in self.steps],
        }
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def table(self) -> Table:
        """What happened, one line a step."""
        table = Table(title=self.title, title_justify="left", header_style="bold", show_lines=False)
        for name, options in (
            ("#", {"justify": "right"}),
            ("Step", {}),
            ("Protocol", {}),
            ("What came back", {}),
            ("ms", {"justify": "right"}),
        ):
            table.add_column(name, overflow="fold", **options)  # type: ignore[arg-type]
        for step in self.steps:
            came = step.error or step.received
            table.add_row(str(step.number), step.title, step.protocol, came, str(step.milliseconds))
        return table


def wait_for(question: Callable[[], Any], *, seconds: float, every: float = 0.1) -> Any:
    """The question's first truthy answer; its last answer when time is up."""
    end = time.monotonic() + seconds
    answer = question()
    while not answer and time.monotonic() < end:
        time.sleep(every)
        answer = question()
    return answer
