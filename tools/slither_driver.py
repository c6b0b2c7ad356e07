"""Slither on syntax trees that the compiler has made already; run by .venv-analysis's Python.

Usage: slither_driver.py COMPILED.json FINDINGS.json

COMPILED.json has `version` (of the compiler), `root` (of the project), `output` (standard JSON's
answer) and `own` (prefixes of the files whose findings are wanted). Slither needs no code, and
without it the compiler takes a few seconds. FINDINGS.json gets a list of findings, each with the
detector, its impact and confidence, what it says, and the elements it points at.
"""

import inspect
import json
import os
import sys

from crytic_compile import CryticCompile
from crytic_compile.compilation_unit import CompilationUnit
from crytic_compile.compiler.compiler import CompilerVersion
from crytic_compile.platform.solc_standard_json import (
    SolcStandardJson,
    parse_standard_json_output,
)
from slither import Slither
from slither.detectors import all_detectors
from slither.detectors.abstract_detector import AbstractDetector

NO_CODE = {"object": "", "sourceMap": ""}


class Compiled(SolcStandardJson):
    """A platform whose compilation is done."""

    def __init__(self, compiled):
        super().__init__({})
        self._compiled = compiled

    def compile(self, crytic_compile, **kwargs):
        """Hand over what the compiler made."""
        unit = CompilationUnit(crytic_compile, "backstop")
        unit.compiler_version = CompilerVersion(
            compiler="solc", version=self._compiled["version"], optimized=True
        )
        output = self._compiled["output"]
        for contracts in output["contracts"].values():
            for contract in contracts.values():
                contract["evm"] = {"bytecode": NO_CODE, "deployedBytecode": NO_CODE}
        parse_standard_json_output(output, unit, solc_working_dir=self._compiled["root"])


def element(found, own):
    """What a finding points at, without line numbers: they change with every edit above."""
    mapping = found["source_mapping"]
    place = found
    while place["type"] in ("node", "variable") and "parent" in place["type_specific_fields"]:
        place = place["type_specific_fields"]["parent"]
    parent = place.get("type_specific_fields", {}).get("parent", {})
    name = (parent.get("name", "") + "." + place["name"]).lstrip(".")
    return {
        "type": found["type"],
        "file": mapping["filename_relative"],
        "place": name,
        "start": mapping["start"],
        "length": mapping["length"],
        "lines": mapping["lines"][:1],
        "own": mapping["filename_relative"].startswith(tuple(own)),
    }


def main():
    """Run all detectors, write what they find."""
    source, target = sys.argv[1:3]
    with open(source) as file:
        compiled = json.load(file)
    os.chdir(compiled["root"])
    slither = Slither(CryticCompile(Compiled(compiled)), exclude_dependencies=True)
    detectors = [getattr(all_detectors, name) for name in sorted(dir(all_detectors))]
    for detector in detectors:
        if inspect.isclass(detector) and issubclass(detector, AbstractDetector):
            slither.register_detector(detector)
    findings = []
    for result in [finding for found in slither.run_detectors() for finding in found]:
        elements = [element(e, compiled["own"]) for e in result["elements"]]
        findings.append(
            {
                "detector": result["check"],
                "impact": result["impact"],
                "confidence": result["confidence"],
                "description": result["description"].strip(),
                "elements": elements,
            }
        )
    with open(target, "w") as file:
        json.dump({"detectors": len(slither.detectors), "findings": findings}, file, indent=1)


if __name__ == "__main__":
    main()
