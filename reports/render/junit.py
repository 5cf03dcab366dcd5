"""A summary as JUnit XML: each threshold and each trial's validity is a test case."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from reports.analysis.verdict import open_threshold
from reports.summary.model import Summary, ThresholdResult, TrialSummary
from reports.summary.refusals import standing


def render(summary: Summary) -> str:
    """Return the summary as JUnit XML.

    A broken threshold is a failure, an undecided one is skipped with its interval. A trial of which not all
    can be believed is skipped with what still counts and the reasons; where nothing of any trial can be
    believed, that is an error.
    """
    root = ET.Element("testsuites", name="sidecar-bench")
    kept = ET.SubElement(root, "testsuite", name=f"{summary.scenario}: thresholds", timestamp=summary.started)
    properties = ET.SubElement(kept, "properties")
    ET.SubElement(properties, "property", name="run", value=summary.run_id)
    ET.SubElement(properties, "property", name="verdict", value=summary.verdict)
    for result in summary.thresholds:
        _threshold(kept, result)
    valid = ET.SubElement(root, "testsuite", name=f"{summary.scenario}: trials", timestamp=summary.started)
    for trial in summary.trials:
        _trial(valid, trial)
    if not any(trial.counts_valid or trial.times_valid for trial in summary.trials):
        case = ET.SubElement(valid, "testcase", classname="run", name="at least one trial is valid")
        ET.SubElement(case, "error", message=summary.verdict)
    for suite in (kept, valid):
        _count(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _threshold(suite: ET.Element, result: ThresholdResult) -> None:
    case = ET.SubElement(suite, "testcase", classname=result.variant, name=result.text)
    ends = f"{result.interval[0]:.4g} to {result.interval[1]:.4g}" if result.interval else "no interval"
    value = f"{result.value:.4g}" if result.value is not None else "no value"
    message = f"measured {value} ({ends}), bound {result.bound:g}"
    if result.outcome == "fail":
        ET.SubElement(case, "failure", message=message)
    elif result.outcome == "undecided":
        far = f"; {far} to decide" if (far := open_threshold(result)) else ""
        ET.SubElement(case, "skipped", message=f"undecided: {message}{far}")


def _trial(suite: ET.Element, trial: TrialSummary) -> None:
    case = ET.SubElement(suite, "testcase", classname=trial.variant, name=f"{trial.id} is valid")
    if not trial.valid:
        ET.SubElement(case, "skipped", message=f"{standing(trial)}: {'; '.join(trial.reasons)}")


def _count(suite: ET.Element) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
