"""Runs checks in order and counts them, in the form that scripts/test reads."""


def run(checks, *arguments):
    """Calls each check; one that raises has failed. Prints a line per failure and the counts last; returns the exit code."""
    passed = failed = 0
    for check in checks:
        try:
            check(*arguments)
            passed += 1
        except Exception as problem:
            failed += 1
            print(f"FAIL {check.__name__.replace('_', ' ')}: {type(problem).__name__}: {problem}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
