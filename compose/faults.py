"""What can be done to a deployment while it is loaded: faults, and the changes of its life."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Faults(ABC):
    """Faults and lifecycle of one deployment.

    Replicas are numbered from 1, and so is the Redis of each sidecar; a separate Redis is number 1. Each
    method returns when what it does has come about: a process has ended, or is ready. Those that cannot be
    done (there is no such Redis, no link, no replica of that number) raise a StackError that says so.
    """

    @abstractmethod
    def kill_redis(self, number: int = 1) -> None:
        """Let a Redis die at once, with all that it holds; it stays away until it is started."""

    @abstractmethod
    def stop_redis(self, number: int = 1) -> None:
        """Let a Redis end in an orderly way; it stays away until it is started."""

    @abstractmethod
    def start_redis(self, number: int = 1) -> None:
        """Start a Redis that was killed or stopped; it is empty."""

    @abstractmethod
    def pause_redis(self, number: int = 1) -> None:
        """Freeze a Redis: it takes connections and answers nothing."""

    @abstractmethod
    def resume_redis(self, number: int = 1) -> None:
        """Thaw a Redis that was frozen; it still holds what it held."""

    @abstractmethod
    def kill_replica(self, number: int = 1) -> None:
        """Let a replica die at once, and its sidecar with it; its address refuses until it is replaced."""

    @abstractmethod
    def replace_replica(self, number: int = 1) -> None:
        """Kill a replica, unless it is dead, and start another in its place and at its address.

        In `sidecar`, its cache is new and empty.
        """

    @abstractmethod
    def add_replica(self) -> str:
        """Start one more replica, and in `sidecar` its Redis; return its address."""

    @abstractmethod
    def remove_replica(self, number: int) -> None:
        """Let a replica end what it is about, and then end; its sidecar goes with it."""

    @abstractmethod
    def roll(self) -> None:
        """Replace all replicas one after the other, as a rolling deployment does; addresses stay."""

    @abstractmethod
    def cut_link(self) -> None:
        """Let nothing through between the app and a separate Redis."""

    @abstractmethod
    def heal_link(self) -> None:
        """Let everything through again."""
