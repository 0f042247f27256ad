"""Starts the rehearsal cloud without hosts, runs every test_*.py beside this file against it, and exits truthfully."""

import os
import sys
import unittest

import cloud


class Result(unittest.TextTestResult):
    """Counts what passed, too; unittest itself only counts what did not."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    binary, names = sys.argv[1], sys.argv[2:]
    here = os.path.dirname(os.path.abspath(__file__))
    loader = unittest.TestLoader()
    tests = loader.loadTestsFromNames(names) if names else loader.discover(here, pattern="test_*.py")
    with cloud.served(binary):
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1, resultclass=Result).run(tests)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    if skipped:
        for test, reason in result.skipped:
            print(f"skipped: {test}: {reason}")
    # A suite in which nothing passed has shown nothing; a skipped test has shown nothing either.
    print(f"{result.passed} passed, {failed + skipped} failed")
    return 0 if failed == 0 and skipped == 0 and result.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
