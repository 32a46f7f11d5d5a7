"""Finds every transaction module under a package, and binds it: the only list of transactions there is."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from hub.errors import Unsupported
from hub.pipeline.transaction import Binding, Transaction
from hub.usecase import Command


@dataclass(frozen=True, slots=True)
class Bound:
    """A transaction with its translation."""

    transaction: Transaction
    decode: Callable[[Any, Any], Command]
    encode: Callable[[Any, Any, Any], Any]
    refuse: Callable[[Any, Any, Any], Any] | None
    module: str

    @property
    def id(self) -> str:
        """The transaction's id."""
        return self.transaction.id


class Catalogue:
    """All transactions, by id and by binding."""

    def __init__(self, bound: Iterator[Bound] | tuple[Bound, ...]) -> None:
        self._bound: dict[str, Bound] = {}
        for item in bound:
            if item.id in self._bound:
                raise TypeError(f"{item.id} is declared in {self._bound[item.id].module} and in {item.module}")
            self._bound[item.id] = item

    def __iter__(self) -> Iterator[Bound]:
        return iter(sorted(self._bound.values(), key=lambda item: (item.transaction.profile, item.id)))

    def __getitem__(self, transaction_id: str) -> Bound:
        return self._bound[transaction_id]

    def bindings(self, kind: type[Binding] | Any) -> Iterator[tuple[Any, Bound]]:
        """Every (binding, bound transaction) of one kind of binding."""
        for item in self:
            for binding in item.transaction.bindings:
                if isinstance(binding, kind):
                    yield binding, item


def discover(package: str = "profiles") -> Catalogue:
    """Import every module below ``package`` and collect those that hold a ``TRANSACTION``."""
    return Catalogue(tuple(_bound(module) for module in _modules(package) if hasattr(module, "TRANSACTION")))


def _modules(package: str) -> Iterator[ModuleType]:
    root = importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, prefix=f"{package}."):
        yield importlib.import_module(info.name)


def _bound(module: ModuleType) -> Bound:
    if not module.TRANSACTION.bindings and not hasattr(module, "decode"):
        return Bound(module.TRANSACTION, _only_sent, _only_sent, None, module.__name__)
    return Bound(module.TRANSACTION, module.decode, module.encode, getattr(module, "refuse", None), module.__name__)


def _only_sent(*_: Any) -> Any:
    """Of a transaction that the hub initiates and never answers."""
    raise Unsupported()
