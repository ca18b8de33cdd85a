#!/usr/bin/env python3
"""Drives the REPL through a pseudo-terminal, as a person would.

    scripts/tests/terminal.py PATH-TO-GRADUS

The last line counts.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

PROMPT, MORE = "nn> ", "...> "
PASTE_ON, PASTE_OFF = "\x1b[200~", "\x1b[201~"
UP, TAB, CTRL_C, CTRL_D = "\x1b[A", "\t", "\x03", "\x04"
# With bracketed paste switched off, readline returns to the margin.
ESCAPES = re.compile(r"\x1b\[\?2004l\r|\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x07")
# Seconds to wait for what should be there at once: machines that run the tests may be busy.
PATIENCE = float(os.environ.get("PATIENCE", "30"))


class Failed(Exception):
    pass


class Session:
    """A gradus on a terminal 100 columns wide."""

    def __init__(self, gradus, home, arguments=(), folder=None, more={}):
        environment = {
            "HOME": home, "XDG_STATE_HOME": os.path.join(home, "state"), "TERM": "xterm",
            "PATH": os.environ.get("PATH", ""), "INPUTRC": "/dev/null", "LANG": "C.UTF-8",
            **more,
        }
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            if folder:
                os.chdir(folder)
            os.execve(gradus, [gradus, *arguments], environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.seen = ""
        self.code = None

    def read(self, seconds):
        """Takes what has come; False at the end."""
        ready, _, _ = select.select([self.terminal], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.raw = getattr(self, "raw", b"") + data
        self.seen = ESCAPES.sub("", self.raw.decode("utf-8", "replace")).replace("\r\n", "\n")
        return bool(data)

    def expect(self, pattern, what=None):
        """Waits for a pattern, and returns what came up to its end since the last match."""
        deadline = time.monotonic() + PATIENCE
        while True:
            match = re.compile(pattern, re.M).search(self.seen, getattr(self, "position", 0))
            if match:
                text = self.seen[getattr(self, "position", 0):match.end()]
                self.position = match.end()
                return text
            if time.monotonic() > deadline or not self.read(0.2) and not re.search(pattern, self.seen):
                rest = self.seen[getattr(self, "position", 0):]
                raise Failed(f"waited for {what or pattern!r}, saw {rest!r}")

    def prompt(self):
        """Waits for a prompt at the end of what came: the session is ready for input."""
        text = self.expect(r"^nn> \Z", "a prompt")
        return text[: -len(PROMPT)]

    def send(self, text):
        os.write(self.terminal, text.encode())

    def run(self, text):
        """Types a line, and returns what it prints."""
        self.send(text + "\r")
        output = self.prompt()
        return output.split("\n", 1)[1] if "\n" in output else output

    def close(self):
        self.send(CTRL_D)
        return self.wait()

    def wait(self):
        deadline = time.monotonic() + PATIENCE
        while self.read(0.05):
            if time.monotonic() > deadline:
                os.kill(self.child, signal.SIGKILL)
                raise Failed("it does not end")
        _, status = os.waitpid(self.child, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status)


def check(condition, saw):
    if not condition:
        raise Failed(f"saw {saw!r}")


def equal(actual, expected):
    if actual != expected:
        raise Failed(f"expected {expected!r}, got {actual!r}")


# Each test gets the program's path and an empty home.


def banner_and_echo(gradus, home):
    session = Session(gradus, home)
    check(re.match(r"Gradus [0-9.]+   \d+ cores?   :help   \?name\n", session.prompt()), session.seen)
    equal(session.run("1 + 2"), "3\n")
    equal(session.run("1 + 2;"), "")
    equal(session.run("_ + 10"), "13\n")
    equal(session.close(), 0)


def continuation(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.send("(1 +\r")
    session.expect(r"^\.\.\.> \Z", "the continuation prompt")
    equal(session.run("2)"), "3\n")
    session.send("fn twice(x) {\r")
    session.expect(r"^\.\.\.> \Z")
    session.send("  x * 2\r")
    session.expect(r"^\.\.\.> \Z")
    equal(session.run("}"), "")
    equal(session.run("twice(21)"), "42\n")
    equal(session.close(), 0)


def errors_and_bindings(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("value = 5")
    output = session.run("valeu + 1")
    check("unknown-name" in output and "`value`" in output, output)
    equal(session.run("value + 1"), "6\n")
    output = session.run(":explain")
    check(output.startswith("unknown-name"), output)
    equal(session.close(), 0)


def paste_of_a_block(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.send(PASTE_ON + "fn add(a, b) {\n\n  a + b\n}\nadd(20, 22)\n#> 42\n" + PASTE_OFF)
    output = session.run("")
    check(output.endswith("42\n"), output)
    equal(session.close(), 0)


def paste_of_a_transcript(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    transcript = "nn> a = [1, 2]\nnn> nonsense\nerror[unknown-name]: no `nonsense` here\n" \
        "nn> (1 +\n...> 40 +\n...> 1)\n42\n"
    session.send(PASTE_ON + transcript + PASTE_OFF)
    output = session.run("")
    check(output.endswith("42\n") and "unknown-name" in output, output)
    equal(session.run("a"), "[1, 2]\n")
    equal(session.close(), 0)


def transcript_line_by_line(gradus, home):
    # As a terminal without bracketed paste sends it.
    session = Session(gradus, home)
    session.prompt()
    session.send("nn> (1 +\r")
    session.expect(r"\.\.\.> \Z", "the input goes on")
    output = session.run("...> 41)")
    check(output.endswith("42\n"), output)
    equal(session.close(), 0)


def output_that_cannot_be_written(gradus, home):
    with open("/dev/full", "w") as full:
        run = subprocess.run([gradus, "-e", "1"], stdout=full, stderr=subprocess.PIPE, text=True)
    equal(run.stderr, "error: cannot write the output: no space left on device\n")
    equal(run.returncode, 1)


def interrupt_at_the_prompt(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.send("1 + 2 +")
    session.expect(r"1 \+ 2 \+")
    session.send(CTRL_C)
    session.prompt()
    equal(session.run("5"), "5\n")
    session.send("(1 +\r")
    session.expect(r"^\.\.\.> \Z")
    session.send(CTRL_C)
    session.prompt()
    equal(session.run("6"), "6\n")
    session.send(CTRL_C)
    check("Ctrl-D" in session.prompt(), session.seen)
    equal(session.close(), 0)


def interrupt_while_running(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("kept = 7")
    for _ in range(2):
        session.send("while true {}\r")
        time.sleep(0.3)
        session.send(CTRL_C)
        output = session.prompt()
        check("interrupted" in output, output)
    equal(session.run("kept"), "7\n")
    equal(session.close(), 0)


def interrupt_in_a_large_product(gradus, home):
    session = Session(gradus, home, more={"GRADUS_THREADS": "1"})
    session.prompt()
    session.run("a = normal([6000, 6000]);")
    session.run("step square(x) = x @ x")
    # Outside of a step, inside one, and of whole numbers: each takes seconds.
    for product in ("b = a @ a", "b = square(a)", "b = i64(a) @ i64(a)"):
        session.send(product + "\r")
        time.sleep(0.5)
        start = time.monotonic()
        session.send(CTRL_C)
        check("interrupted" in session.prompt(), session.seen)
        check(time.monotonic() - start < 1, time.monotonic() - start)
    equal(session.run("a.shape"), "[6000, 6000]\n")
    # A product of its own right is whole again.
    equal(session.run("allclose(ones([50, 60]) @ ones([60, 70]), 60.0)"), "true\n")
    equal(session.close(), 0)


def questions(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.send('name = ask("name? ")\r')
    session.expect(r"^name\? \Z", "the question")
    session.send("Ada\r")
    session.prompt()
    equal(session.run('"hello, {name}"'), '"hello, Ada"\n')
    session.send('ask("and? ")\r')
    session.expect(r"^and\? \Z")
    session.send(CTRL_C)
    check("interrupted" in session.prompt(), session.seen)
    equal(session.close(), 0)
    asking = os.path.join(home, "asking.nn")
    with open(asking, "w") as file:
        file.write('print(ask("a? ") + ask())\nask()\n')
    run = subprocess.run([gradus, asking], input="one\ntwo", text=True, capture_output=True)
    equal((run.stdout, run.returncode), ("a? onetwo\n", 1))
    check(run.stderr.startswith("error[no-answer]"), run.stderr)


def progress(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    output = session.run("for i in progress(1...200) { t = clock()\nwhile clock() - t < 0.003 { } }")
    check(re.search(r"\r█.* \d+%  \d+/200 ", output), output)
    check(re.search(r"\r█{20} 100%  200/200  [0-9,.]+ it/s  0:00:\d\d\n\Z", output), output)
    equal(session.run("for i in progress(1...3) { }"), "")
    output = session.run('for i in progress(1...200) { t = clock()\nwhile clock() - t < 0.003 { }\nif i == 190 { print("near") } }')
    check(re.search(r"^\r?near$|\rnear\n", output, re.M), output)
    equal(session.close(), 0)
    quiet = subprocess.run(
        [gradus, "-e", "for i in progress(1...200) { t = clock()\nwhile clock() - t < 0.003 { } }"], capture_output=True, text=True)
    equal((quiet.stdout, quiet.stderr, quiet.returncode), ("", "", 0))


def drawings(gradus, home):
    """As wide as the terminal and in its colours; what is saved or piped is plain, and the same everywhere."""
    plain = subprocess.run([gradus, "-e", "plot([1, 4, 9, 16])"], capture_output=True, text=True).stdout
    equal(max(map(len, plain.splitlines())), 80)
    check("\x1b" not in plain, plain)
    session = Session(gradus, home, folder=home)
    session.prompt()
    output = session.run("plot([1, 4, 9, 16])")
    equal(max(len(line.rstrip()) for line in output.splitlines()), 100)
    session.run(":save drawn.nn")
    equal(session.close(), 0)
    with open(os.path.join(home, "drawn.nn"), encoding="utf-8") as file:
        saved = [line[3:].rstrip() for line in file.read().splitlines() if line.startswith("#>")]
    equal(saved, plain.splitlines())
    colored = subprocess.run([gradus, "--color", "always", "-e", "heatmap(eye(2))"], capture_output=True, text=True).stdout
    check("\x1b[38;5;" in colored and "▀" in colored, colored)
    full = dict(os.environ, COLORTERM="truecolor")
    colored = subprocess.run(
        [gradus, "--color", "always", "-e", "heatmap(eye(2))"], capture_output=True, text=True, env=full).stdout
    check("\x1b[38;2;" in colored, colored)


def completion(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("point = (first: 11, second: 22)")
    session.send("poi" + TAB)
    session.expect(r"point\Z", "the name completed")
    session.send(".sec" + TAB)
    session.expect(r"\.second\Z", "the member completed")
    equal(session.run(""), "22\n")
    session.send(":va" + TAB)
    session.expect(r":vars\Z", "the command completed")
    output = session.run("")
    check("point" in output and "record" in output, output)
    session.run("fn scaled(x, amount = 2) = x * amount")
    session.send("scaled(4, amo" + TAB)
    session.expect(r"amount:\Z", "the keyword argument completed")
    equal(session.run(" 3)"), "12\n")
    with open(os.path.join(home, "script with.dots.nn"), "w") as file:
        file.write("99\n")
    session.send(f':load "{home}/scri' + TAB)
    session.expect(r'with\.dots\.nn"\Z', "the path completed and its quote closed")
    equal(session.run(""), "99\n")
    # At the beginning of a line Tab indents.
    equal(session.run(TAB + "3"), "3\n")
    equal(session.close(), 0)


def history(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("111")
    session.send("(200 +\r")
    session.expect(r"^\.\.\.> \Z")
    session.run("22)")
    equal(session.close(), 0)
    path = os.path.join(home, "state", "gradus", "history")
    equal(os.stat(path).st_mode & 0o777, 0o600)

    session = Session(gradus, home)
    session.prompt()
    session.send(UP)
    session.expect(r"22\)\s*\Z", "the whole entry of two lines")
    equal(session.run(""), "222\n")
    session.send(UP + UP)
    session.expect(r"111\s*\Z", "the entry before")
    equal(session.run(""), "111\n")
    session.run("111")
    equal(session.close(), 0)

    session = Session(gradus, home)
    session.prompt()
    session.send(UP + UP)
    session.expect(r"22\)\s*\Z", "no entry twice")
    session.send(CTRL_C)
    session.prompt()
    equal(session.close(), 0)


def help_pages(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    for ask in ["?relu", "relu?", ":help relu", "?  relu"]:
        output = session.run(ask)
        check(output.startswith("relu(x"), output)
    check(":load FILE" in session.run(":help"), session.seen)
    check("there is no help" in session.run("?nonsensical"), session.seen)
    check("did you mean `:vars`" in session.run(":var"), session.seen)
    equal(session.close(), 0)


def commands(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("x = 3")
    equal(session.run(":type x"), "int\n")
    check(re.search(r"^x +int$", session.run(":vars"), re.M), session.seen)
    check(re.fullmatch(r"4\n[0-9.]+ (ns|µs|ms|s)\n", session.run(":time x + 1")), session.seen)
    session.run("x + 2")
    saved = os.path.join(home, "saved.nn")
    session.run(f":save {saved}")
    check("x + 2\n#> 5\n" in open(saved).read(), open(saved).read())
    equal(subprocess.run([gradus, "test", saved], capture_output=True).returncode, 0)
    session.run(":reset")
    check("unknown-name" in session.run("x"), session.seen)
    session.run(f":load {saved}")
    equal(session.run("x"), "3\n")
    session.send(":quit\r")
    equal(session.wait(), 0)
    session = Session(gradus, home)
    session.prompt()
    session.send("exit\r")
    equal(session.wait(), 0)


def script_interrupted(gradus, home):
    session = Session(gradus, home, ["-e", "while true {}"])
    time.sleep(0.5)
    session.send(CTRL_C)
    equal(session.wait(), 130)
    check("interrupted" in session.seen, session.seen)


def silent_when_piped(gradus, home):
    environment = dict(os.environ, HOME=home, TERM="xterm")
    run = subprocess.run([gradus], input="x = 2\nx + 1\nnonsense\n#! error[unknown-name]\n\"end\"\n", text=True,
                         capture_output=True, env=environment)
    equal(run.stdout, "3\n\"end\"\n")
    check("\x1b" not in run.stderr and "nn>" not in run.stderr, run.stderr)
    equal(run.returncode, 0)
    equal(os.listdir(home), [])


TESTS = [
    banner_and_echo, continuation, errors_and_bindings, paste_of_a_block, paste_of_a_transcript,
    transcript_line_by_line, output_that_cannot_be_written,
    interrupt_at_the_prompt, interrupt_while_running, interrupt_in_a_large_product, questions, progress, drawings, completion, history, help_pages, commands,
    script_interrupted, silent_when_piped,
]

def main():
    gradus = os.path.abspath(sys.argv[1])
    passed = failed = 0
    for test in TESTS:
        try:
            with tempfile.TemporaryDirectory() as home:
                test(gradus, home)
            passed += 1
        except Failed as failure:
            failed += 1
            print(f"FAIL {test.__name__.replace('_', ' ')}: {failure}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
