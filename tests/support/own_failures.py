"""A check that schemathesis loads by SCHEMATHESIS_HOOKS: no failure is of the service's own making."""

from __future__ import annotations

import schemathesis


@schemathesis.check
def no_failure_of_its_own(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """An upstream's 500 is passed on and says so; any other 5xx is the service's."""
    if response.status_code >= 500:
        said = response.headers.get("cache-status", [""])[0]
        assert f"fwd-status={response.status_code}" in said, said
