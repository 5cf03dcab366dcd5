"""The Locust user: one of a bounded pool, taking whatever request is due next."""

from __future__ import annotations

from locust import User, task

from loadtests.sending.open_loop import OpenLoop


class OpenLoopUser(User):
    """A user without a rhythm of its own: arrivals decide when it acts."""

    abstract = True
    open_loop: OpenLoop

    @task
    def serve(self) -> None:
        """Take requests until the test ends."""
        self.open_loop.serve()


class TrialUser(OpenLoopUser):
    """A user of a trial on several workers: Locust's master names its class to the workers."""
