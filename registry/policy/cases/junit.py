"""Results of cases as JUnit XML, which CI systems show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from registry.policy.cases.case import CaseResult, Got

# Characters that XML 1.0 cannot hold, however they are escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(results: Iterable[CaseResult], complaints: Sequence[tuple[str, str]] = ()) -> bytes:
    """The document: a suite per file and policy, a test case per case.

    Args:
        results: What became of the cases, in their order.
        complaints: Failures that belong to no case, as a coverage that is too low: name and text.
    """
    found = list(results)
    root = ET.Element("testsuites", name="phasegate policy test")
    for (file, policy), group in groupby(found, key=lambda result: (result.file, result.policy)):
        suite = _suite(root, f"{file}: {policy}")
        for result in group:
            case = _case(suite, result.name, f"{policy}", file, result.line)
            if result.wrong:
                _fail(case, "; ".join(_short(one) for one in result.wrong), told(result))
    if complaints:
        suite = _suite(root, "the set of cases")
        for name, text in complaints:
            _fail(_case(suite, name, "phasegate"), text.splitlines()[0], text)
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        element.set("tests", str(len(cases)))
        element.set("failures", str(sum(case.find("failure") is not None for case in cases)))
        element.set("errors", "0")
        element.set("skipped", "0")
        element.set("time", "0")
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def told(result: CaseResult) -> str:
    """Why a case failed, rule by rule."""
    lines = []
    for one in result.wrong:
        lines.append(_short(one))
        lines += [
            f"  {name}: {text}"
            for name, text in (("message", one.message), ("value", one.value), ("limit", one.limit))
            if text
        ]
    return "\n".join(lines)


def _short(one: Got) -> str:
    wanted = f"expected {one.expected}, " if one.expected else "nobody expected it, "
    return f"{one.rule}: {wanted}got {one.outcome}"


def _suite(root: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(root, "testsuite", name=_clean(name))


def _case(suite: ET.Element, name: str, owner: str, file: str = "", line: int = 0) -> ET.Element:
    place: dict[str, str] = {"file": _clean(file), "line": str(line)} if file else {}
    about = {"name": _clean(name), "classname": _clean(owner), "time": "0"}
    return ET.SubElement(suite, "testcase", {**about, **place})


def _fail(case: ET.Element, message: str, text: str) -> None:
    failure = ET.SubElement(case, "failure", message=_clean(message), type="failure")
    failure.text = _clean(text)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
