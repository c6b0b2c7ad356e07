"""Signed orders from a folder: liquidations may be filled against them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backstop.chain.orders import OrderFileError, SignedOrder
from backstop.chain.signing import Domain


class OrderFolder:
    """The orders in the `*.json` files of a folder, read anew when a file changes.

    Args:
        folder: where; None for no orders.
        domain: the deployment they have to be for.
        say: told about files that hold no usable order, once each.
    """

    def __init__(self, folder: Path | None, domain: Domain, say: Callable[[str], None]) -> None:
        self.folder, self.domain, self.say = folder, domain, say
        self._known: dict[Path, tuple[int, SignedOrder | None]] = {}

    def read(self) -> tuple[SignedOrder, ...]:
        """All usable orders now."""
        if self.folder is None:
            return ()
        found: dict[Path, tuple[int, SignedOrder | None]] = {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                changed = path.stat().st_mtime_ns
            except OSError:
                continue  # taken away between the two looks
            known = self._known.get(path)
            found[path] = known if known and known[0] == changed else (changed, self._load(path))
        self._known = found
        return tuple(order for _, order in found.values() if order is not None)

    def _load(self, path: Path) -> SignedOrder | None:
        try:
            signed = SignedOrder.load(path)
        except OrderFileError as error:
            self.say(f"passed over: {error}")
            return None
        if signed.domain != self.domain:
            self.say(f"passed over: {path} is for another deployment")
            return None
        return signed
