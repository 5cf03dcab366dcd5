"""The other side of the relay's control: changes a link that is up."""

from __future__ import annotations

import socket

from compose.stack import StackError


class LinkControl:
    """Speaks to one relay; each command is in force when its method returns."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(5.0)
        self._connection = connection

    def delay(self, microseconds: float) -> None:
        """Hold each direction back for so long."""
        self._say(f"delay {microseconds:.1f}")

    def cut(self) -> None:
        """Let nothing through; what is under way is kept."""
        self._say("cut")

    def heal(self) -> None:
        """Let everything through again."""
        self._say("heal")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _say(self, command: str) -> None:
        try:
            self._connection.sendall(f"{command}\n".encode())
            answer = self._connection.recv(256).decode().strip()
        except OSError as error:
            raise StackError(f"the link does not accept the command `{command}`: {error}") from error
        if answer != "ok":
            raise StackError(f"the link does not accept the command `{command}`: {answer or 'it has ended'}")
