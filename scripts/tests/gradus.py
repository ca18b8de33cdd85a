"""Finds the program that the scripts around it test."""

import os
import sys


def arguments_and_program(arguments, root):
    """Takes `--gradus PATH` out of the arguments; without it, the newest build counts."""
    if "--gradus" in arguments:
        at = arguments.index("--gradus")
        if at + 1 == len(arguments):
            sys.exit("--gradus needs a path")
        program = os.path.abspath(arguments[at + 1])
        return arguments[:at] + arguments[at + 2:], program
    builds = [os.path.join(root, ".build", kind, "gradus") for kind in ("release", "debug")]
    builds = [build for build in builds if os.path.exists(build)]
    if not builds:
        sys.exit("there is no program yet: swift build -c release --product gradus")
    return arguments, max(builds, key=os.path.getmtime)
