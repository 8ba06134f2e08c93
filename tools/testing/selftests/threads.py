# SPDX-License-Identifier: MIT OR Apache-2.0
"""Threads of a test, whose failures are the test's."""

import threading

import vs


class Thread(threading.Thread):
    """A thread whose failure is raised where it is joined."""

    def __init__(self, function, *arguments):
        super().__init__()
        self.work, self.failure = (function, arguments), None

    def run(self):
        function, arguments = self.work
        try:
            function(*arguments)
        except (OSError, AssertionError, vs.Refused) as failure:
            self.failure = failure

    def end(self):
        self.join()
        if self.failure:
            raise AssertionError(f"in a thread: {self.failure}")


class Repeating(Thread):
    """Calls work() over and over, with a pause of so many seconds between, until it is to stop;
    counts the rounds.
    """

    def __init__(self, work, pause=0):
        super().__init__(self._repeat, work, pause)
        self.stop, self.rounds = threading.Event(), 0

    def _repeat(self, work, pause):
        while not self.stop.wait(pause):
            work()
            self.rounds += 1


def end(threads):
    """Stops the threads that repeat, waits for all, and reports the first failure."""
    for one in threads:
        one.stop.set()
    for one in threads:
        one.join()
    for one in threads:
        one.end()
