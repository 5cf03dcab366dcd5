"""`run --target`: running services take the place of deployed variants (docs/production.md)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.errors import UserError
from bench.targets import contracts
from bench.targets.arguments import DURATION_CAP_S, RATE_CAP
from bench.targets.contracts import NOTHING, Called
from bench.targets.urls import check_labels, replicas
from compose import stacks
from compose.external.stack import Calls, TargetStack
from compose.stack import Stack
from reports.stored.records import RunRecord, StackChoice, TargetsChoice
from scenarios import thresholds, topologies, units
from scenarios.contract import OURS, Contract
from scenarios.model import Scenario, Settings, Variant, Workload
from scenarios.reading import document
from traffic import keys

# What a variant says of how it is deployed; of these fields a target takes none.
_DEPLOYED: Final = ("topology", "label", "replicas", "cache", "upstream", "link", "resources")


@dataclass(frozen=True)
class Asked:
    """What the command line says of targets; fields are None where it says nothing."""

    urls: Mapping[str, list[str]] | None
    owned: bool
    rate_cap: float | None
    duration_cap_s: float | None
    called: Called = NOTHING

    @property
    def choice(self) -> TargetsChoice | None:
        """What was chosen; None where variants are to be deployed.

        Raises:
            UserError: something is said of targets, and there are none.
        """
        if self.urls is None:
            if self.called.said:
                raise UserError(
                    "--path, --outcome, --cache, --header and --upstream-count describe a service: "
                    "name it with --target, or remove them"
                )
            if self != _SILENT:
                raise UserError("--i-own-this-target and the caps need --target; remove them")
            return None
        return TargetsChoice(
            urls=dict(self.urls),
            owned=self.owned,
            rate_cap=RATE_CAP if self.rate_cap is None else self.rate_cap,
            duration_cap_s=DURATION_CAP_S if self.duration_cap_s is None else self.duration_cap_s,
            contract=self.called.contract,
            header_names=list(self.called.headers),
            count_url=self.called.count_url,
        )

    def again(self, record: RunRecord, *, elsewhere: bool = False) -> TargetsChoice | None:
        """Return what a stored run chose, with what is given again: ownership and the caps.

        `elsewhere`: the run was begun on another machine. Then ownership must be confirmed again.

        Raises:
            UserError: targets are named again.
        """
        if self.urls is not None:
            raise UserError("--resume uses the targets of the run; remove --target and --label")
        stored = record.stack.targets
        if stored is None:
            if self != _SILENT:
                raise UserError(f"{record.run_id} has no targets; remove the options for targets")
            return None
        if self.called.contract != contracts.NOTHING.contract or self.called.count_url is not None:
            raise UserError(
                "--resume calls the targets as the run did; remove --path, --outcome, --cache and "
                "--upstream-count"
            )
        if sorted(self.called.headers) != sorted(stored.header_names):
            raise UserError(
                "the run sends headers whose values are not stored: give them again, each with --header "
                f"({', '.join(stored.header_names) or 'it has none'})"
            )
        said = {
            name: value
            for name in ("owned", "rate_cap", "duration_cap_s")
            if (value := getattr(self, name)) not in (None, False)
        }
        return stored.model_copy(update=({"owned": False} if elsewhere else {}) | said)


_SILENT: Final = Asked(None, False, None, None)


def asked(
    targets: Sequence[str] | None,
    labels: Sequence[str] | None,
    owned: bool,
    rate_cap: float | None,
    duration_cap: str | None,
    called: Called = NOTHING,
) -> Asked:
    """Read the options.

    Raises:
        UserError: they cannot be read, or do not go together.
    """
    duration_cap_s = _seconds(duration_cap) if duration_cap is not None else None
    if rate_cap is not None and not 0 < rate_cap < math.inf:
        raise UserError(f"--rate-cap {rate_cap}: is not a rate; give requests per second, such as 500")
    if not targets:
        if labels:
            raise UserError("--label needs a --target for each label; add it, or remove --label")
        return Asked(None, owned, rate_cap, duration_cap_s, called)
    names = list(labels or ())
    if not names and len(targets) == 1:
        names = ["service"]
    if len(names) != len(targets):
        raise UserError(
            f"{len(targets)} --target and {len(names)} --label: give each target a label, in the same order, "
            "such as --label sidecar --label separate"
        )
    check_labels(names)
    urls = {name: replicas(given) for name, given in zip(names, targets, strict=True)}
    known: dict[str, str] = {}
    for name, each in urls.items():
        for url in each:
            if url in known:
                raise UserError(f"{url}: is given twice ({known[url]} and {name}); give each replica once")
            known[url] = name
    return Asked(urls, owned, rate_cap, duration_cap_s, called)


def _seconds(text: str) -> float:
    try:
        read = float(str(units.seconds(text)))
    except ValueError:
        read = 0.0
    if not 0 < read < math.inf:
        raise UserError(f"--duration-cap {text}: is not a duration; write 90s or 5m")
    return read


def load(name: str, changed: Mapping[str, object], stack: str, choice: TargetsChoice | None) -> Scenario:
    """Read a scenario; with targets, aim it at them.

    Raises:
        UserError: an option says how variants are deployed, or the scenario does not suit the targets.
        ScenarioError: the scenario cannot be used.
    """
    if choice is not None:
        _refuse(changed, stack)
    read = document.load(name, changed)
    return aimed(read, choice) if choice is not None else read


def _refuse(changed: Iterable[str], stack: str) -> None:
    if stack != "auto":
        raise UserError(f"--stack {stack}: with --target, nothing is deployed; remove --stack")
    for name in changed:
        if name.partition(".")[0] in _DEPLOYED:
            instead = " and use --label" if name == "topology" else ""
            raise UserError(
                f"{name}: describes how a variant is deployed, but targets are already running; "
                f"remove it{instead}"
            )


def aimed(scenario: Scenario, choice: TargetsChoice) -> Scenario:
    """Return a scenario whose variants are the targets: its traffic, schedule and thresholds, on them.

    Raises:
        UserError: it compares something else, or asks for what cannot be done to a target.
    """
    varied = [name for name, levels in scenario.factors.items() if name != "topology" and len(levels) > 1]
    if varied:
        traffic = all(name.startswith("workload.") for name in varied)
        remedy = (
            f"give it one value, such as --set {varied[0]}={scenario.factors[varied[0]][0]}"
            if traffic
            else "use a scenario that does not, such as quick"
        )
        raise UserError(
            f"{scenario.name}: compares {', '.join(varied)}, but with targets only the targets can be "
            f"compared: {remedy}"
        )
    first = scenario.variants[0]
    _check_doable(scenario.name, first)
    factor = "topology" if set(choice.urls) <= set(topologies.deployed()) else "label"
    variants = tuple(_variant(label, urls, factor, first.workload) for label, urls in choice.urls.items())
    try:
        thresholds.check(scenario.thresholds, [name for one in variants for name in (one.topology, one.id)])
    except ValueError as error:
        raise UserError(f"{scenario.name}, thresholds: {error}") from error
    # A scenario describes how its variants are deployed.
    fields = {"factors": {factor: list(choice.urls)}, "variants": variants, "description": ""}
    return scenario.model_copy(update=fields)


def _variant(label: str, urls: Sequence[str], factor: str, workload: Workload) -> Variant:
    # A label of the user's own does not tell where the cache is; the field has to have a value.
    topology = label if label in topologies.deployed() else topologies.SIDECAR.name
    settings = Settings(label=label, topology=topology, replicas=len(urls), workload=workload)
    return Variant(id=label, levels={factor: label}, **dict(settings))


def _check_doable(name: str, variant: Variant) -> None:
    for field, info in Settings.model_fields.items():
        value: Any = getattr(variant, field)
        if field not in (*_DEPLOYED, "workload") and value != info.get_default(call_default_factory=True):
            raise UserError(f"{name}: {field} cannot be used with targets; use a scenario without it")


def stack_choice(stack: str, choice: TargetsChoice | None) -> StackChoice:
    """Return what a run's record says of its stack.

    Raises:
        StackError: there is no such stack, or it cannot be used.
    """
    if choice is not None:
        return StackChoice(name="targets", reason="--target names running services", targets=choice)
    name, reason = stacks.choose(stack)
    return StackChoice(name=name, reason=reason)


def calls(scenario: Scenario, choice: TargetsChoice, headers: Mapping[str, str]) -> Calls:
    """Return how the targets are called.

    Raises:
        LogError: the workload's log or file of paths cannot be used.
    """
    key = (
        ""
        if choice.contract.ready
        else keys.first_path(scenario.variants[0].workload, choice.contract.prefix)
    )
    return Calls(choice.contract, headers, key, choice.count_url)


def contract(record: RunRecord) -> Contract:
    """Return how a run calls what it loads."""
    return record.stack.targets.contract if record.stack.targets is not None else OURS


def open_stack(record: RunRecord, headers: Mapping[str, str] | None = None) -> Stack:
    """Return the stack of a run, whatever it is; `headers` go with each request to a target.

    Raises:
        StackError: it cannot be used here.
    """
    if record.stack.targets is not None:
        choice = record.stack.targets
        return TargetStack(record.run_id, choice.urls, calls(record.scenario, choice, headers or {}))
    return stacks.open_stack(record.stack.name, record.run_id)
