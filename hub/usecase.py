"""How a command finds its use case: the type of the method's first argument says it; no list is kept by hand."""

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from hub.context import Context
from hub.errors import Unsupported

F = TypeVar("F", bound=Callable[..., Any])


class Command:
    """Base of everything that a room can be asked to do: frozen dataclasses, one per use case."""

    #: Whether it can be carried out once more when the database took it back: not where it holds files that have moved.
    repeatable: ClassVar[bool] = True


Handler = Callable[[Command, Context], Any]


def use_case(function: F) -> F:
    """Mark a service's method ``(self, command: SomeCommand, context: Context) -> outcome`` as a use case."""
    function.__use_case__ = True  # type: ignore[attr-defined]
    return function


class Dispatcher:
    """All use cases of the given services, by command type."""

    def __init__(self, services: Iterable[object]) -> None:
        self._handlers: dict[type, Handler] = {}
        for service in services:
            for _, method in inspect.getmembers(service, inspect.ismethod):
                if getattr(method, "__use_case__", False):
                    self._add(method)

    def ahead(self, commands: Sequence[tuple[Command, Context]]) -> None:
        """Tell the services which commands come next in the open unit of work, where they have a method ``ahead``."""
        every: dict[Callable[..., None], list[tuple[Command, Context]]] = {}
        for command, context in commands:
            service = getattr(self._handlers.get(type(command)), "__self__", None)
            if service is not None and hasattr(service, "ahead"):
                every.setdefault(service.ahead, []).append((command, context))
        for ahead, theirs in every.items():
            ahead(theirs)

    def _add(self, method: Handler) -> None:
        first = next(iter(inspect.signature(method).parameters))
        kind = typing.get_type_hints(method)[first]
        for command in typing.get_args(kind) or (kind,):
            if command in self._handlers:
                raise TypeError(f"two use cases take {command.__name__}")
            self._handlers[command] = method

    @property
    def handlers(self) -> Mapping[type, Handler]:
        """Command type -> use case."""
        return self._handlers

    def __call__(self, command: Command, context: Context) -> Any:
        """Carry the command out. Raises Unsupported when no room offers it."""
        handler = self._handlers.get(type(command))
        if handler is None:
            raise Unsupported(f"No room carries out {type(command).__name__}.")
        return handler(command, context)
