"""Access logs: read once, by whatever server they were written, and handed on in a form that opens at once.

`read` reads, `stored` hands on, `replay` lays a trial's requests out of a log.
"""

from traffic.logs.errors import LogError
from traffic.logs.log import AccessLog, Facts, LeftOut
from traffic.logs.options import Reading
from traffic.logs.reader import read, read_once

__all__ = ["AccessLog", "Facts", "LeftOut", "LogError", "Reading", "read", "read_once"]
