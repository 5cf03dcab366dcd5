"""What a load generator is told to do in one trial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from pydantic import Field

from scenarios.contract import OURS, Contract
from scenarios.model import Workload
from scenarios.strict import Strict


class Sending(Strict):
    """One trial's load: where to, what, and for how long."""

    targets: tuple[str, ...] = Field(min_length=1, description="Base URLs of the replicas.")
    workload: Workload
    seed: int
    warmup_s: float = Field(ge=0)
    duration_s: float = Field(gt=0)
    timeout_s: float = Field(gt=0)
    contract: Contract = OURS
    headers: dict[str, str] = Field(
        {}, exclude=True, repr=False, description="Sent with each request; may be secret, and is in no file."
    )


class Order(Sending):
    """One trial's load, and where its rows belong."""

    rows: Path
    held: bool = Field(
        False,
        description="The generator says `ready`, and begins at the moment that it is then told on its "
        "standard input: ns of the monotonic clock.",
    )

    @classmethod
    def read(cls, path: str, told: TextIO | None = None) -> Order:
        """Read an order's file, and its headers from a line of JSON, where `told` has one."""
        order = cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        line = told.readline() if told is not None else ""
        return order.model_copy(update={"headers": json.loads(line)}) if line.strip() else order

    def lines(self, path: Path) -> str:
        """Return what `read` takes from a stream: the file's path, and a line of headers."""
        return f"{path}\n{json.dumps(self.headers)}\n"

    def located(self) -> Order:
        """Return the same order for a process that runs in another folder: with absolute paths."""
        log, keys = self.workload.log, self.workload.keys
        if keys.file is not None:
            keys = keys.model_copy(update={"file": keys.file.absolute()})
        workload = self.workload.model_copy(
            update={"log": None if log is None else log.absolute(), "keys": keys}
        )
        return self.model_copy(update={"rows": self.rows.absolute(), "workload": workload})


class Part(Sending):
    """One worker's part in a trial's load: every `workers`-th request, from number `worker` on."""

    worker: int = Field(ge=0)
    workers: int = Field(ge=1)
