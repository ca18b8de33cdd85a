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
UP, TAB, CTRL_C, CTRL_D, CTRL_R = "\x1b[A", "\t", "\x03", "\x04", "\x12"
# With bracketed paste switched off, readline returns to the margin.
ESCAPES = re.compile(r"\x1b\[\?2004l\r|\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x07")
# Seconds to wait for what should be there at once: machines that run the tests may be busy.
PATIENCE = float(os.environ.get("PATIENCE", "30"))


class Failed(Exception):
    pass


class Session:
    """A gradus on a terminal, 100 columns wide unless it is told otherwise."""

    def __init__(self, gradus, home, arguments=(), folder=None, more={}, columns=100):
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
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
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


def completion_shows_what_names_hold(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("weight_in = zeros([64, 128])")
    session.run("weight_out = 5")
    session.run("fn weighted(x, amount = 2) = x * amount")
    session.send("weigh" + TAB)
    session.expect(r"^weight_in +f32\[64, 128\]\nweight_out +int 5\nweighted\(x, amount = 2\)\nweighted_cross_entropy\(.*\)\n"
                   r"nn> weight\Z", "the names with signatures and shapes")
    session.send(CTRL_C)
    session.prompt()
    session.run("net = MLP([4, 2])")
    session.send("net.layers[0]." + TAB + TAB)
    session.expect(r"^forward\(x\)$")
    session.expect(r"^weight +f32\[4, 2\]\n")
    session.send("wei" + TAB)
    session.expect(r"weight\Z", "the field completed")
    equal(session.run(".rank"), "2\n")
    session.run("step train(x) = minimize(mean(net(x)), net, sgd())")
    session.send("bf = train with pre" + TAB)
    session.expect(r"precision:\Z", "the policy completed")
    session.send(" b" + TAB)
    session.expect(r"bf16\Z", "its value completed")
    equal(session.run(""), "")
    output = session.run("train with precison: bf16")
    check("did you mean `precision`?" in output, output)
    # Paths are completed only where a path is meant.
    with open(os.path.join(home, "somewhere.csv"), "w") as file:
        file.write("1,2\n3,4\n")
    session.send(f'"{home}/some' + TAB)
    time.sleep(0.3)
    session.send('"')
    session.expect(r'/some"\Z')
    check('somewhere' not in session.run(""), session.seen)
    session.send(f'load("{home}/some' + TAB)
    session.expect(r'/somewhere.csv"\Z', "the path")
    check("i64[2, 2]" in session.run(")"), session.seen)
    equal(session.close(), 0)


def history_search(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    for line in ("first = 11", "second = 22", "first + second", "fourth = 4"):
        session.run(line)
    # Up goes back through what begins like the line.
    session.send("fir" + UP)
    session.expect(r"first \+ second\s*\Z", "the newest entry that begins so")
    session.send(UP)
    session.expect(r"= 11", "the one before")
    session.send(CTRL_C)
    session.prompt()
    session.send(CTRL_R + "st +")
    session.expect(r"first \+ second", "the entry that holds it")
    check("33\n" in session.run(""), session.seen)
    equal(session.close(), 0)
    path = os.path.join(home, "state", "gradus", "history")
    with open(path, "a") as file:
        for number in range(12_000):
            file.write(f"\x01170000{number:05}\n{number}\n")
    session = Session(gradus, home)
    session.prompt()
    equal(session.close(), 0)
    check(sum(1 for _ in open(path)) <= 10_100, "a history that grows without end")
    equal(os.stat(path).st_mode & 0o777, 0o600)


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
    check(":load FILE" in session.run("help"), session.seen)
    session.run("help = 5")
    equal(session.run("help"), "5\n")
    check("there is no help" in session.run("?nonsensical"), session.seen)
    check("did you mean `:vars`" in session.run(":var"), session.seen)
    equal(session.close(), 0)


def commands(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("x = 3")
    equal(session.run(":type x"), "int\n")
    check(re.search(r"^x +int 3$", session.run(":vars"), re.M), session.seen)
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


def outputs_by_number(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("6 * 7")
    session.run("8;")
    equal(session.run("Out[1] + 1"), "43\n")
    output = session.run("Out[2]")
    check("error[not-kept]: Out[2] is not kept" in output and "kept are 1, 3" in output, output)
    equal(session.run("Out"), "Out[1]  int 42\nOut[3]  int 43\n")
    # Of large values only as many as fit are kept.
    for _ in range(3):
        session.run("zeros([3000, 3000])")
    output = session.run("Out")
    equal(re.findall(r"f32\[3000, 3000\]", output), ["f32[3000, 3000]"])
    session.run(":reset")
    equal(session.run("Out"), "no outputs yet\n")
    equal(session.close(), 0)


def looking_around(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("x = ones([2, 3])")
    session.run("w = zeros([3, 4])")
    session.run("h = relu(x @ w)")
    # No product of this size is computed.
    session.run("fn large() = ones([100000, 1]) @ ones([1, 100000])")
    equal(session.run(":type large()"), "f32[100000, 100000]   40,000,000,000 B\n")
    equal(session.run(":type h"), "f32[2, 4]   32 B\n")
    check(session.run(":type MLP([2, 3])").endswith("   (evaluated)\n"), session.seen)
    check("shape-mismatch" in session.run(":type x @ x"), session.seen)
    output = session.run(":mem")
    check(re.match(r" +48 B +w +f32\[3, 4\]\n +32 B +h +f32\[2, 4\]\n +24 B +x ", output), output)
    check(re.search(r"^ +[0-9,]+ B +in all$", output, re.M), output)
    check(re.search(r"^h +f32\[2, 4\] +32 B$", session.run(":vars"), re.M), session.seen)
    equal(session.run(":why h"), "h : f32[2, 4]\n  <repl 3>:1   h = relu(x @ w)\n  x : f32[2, 3]\n"
          "    <repl 1>:1   x = ones([2, 3])\n  w : f32[3, 4]\n    <repl 2>:1   w = zeros([3, 4])\n")
    check(re.fullmatch(r"[0-9.]+ (ns|µs|ms) ± [0-9.]+ (ns|µs|ms) per loop \(mean ± standard deviation of 7 runs of [0-9,]+ loops each\)\n",
                       session.run(":bench x + 1")), session.seen)
    session.run("net = MLP([3, 2])")
    session.run("opt = sgd()")
    session.run("step train(x) = minimize(mean(net(x)^2), net, opt)")
    output = session.run(":plan train(x)")
    check("memory of train(x: f32[2, 3])   planned, nothing has run" in output and "└ backward" in output, output)
    equal(session.run(":plan train x"), output)
    session.run("train(x);")
    output = session.run(":why net.layers[0].weight")
    check("trained since by `opt`, 1 step" in output and "net = MLP([3, 2])" in output, output)
    output = session.run("??adamw")
    check("optimizer adamw(lr = 1e-3" in output and "# Adam with decoupled weight decay" in output, output)
    check("fn large() = ones" in session.run("large??"), session.seen)
    check("it has no source in the language" in session.run("??relu"), session.seen)
    check(re.search(r"^softmax\(x, axis = -1\) +Scales", session.run(":browse soft"), re.M), session.seen)
    equal(session.run(":! echo from the shell"), "from the shell\n")
    check("error[bad-command]: it is `:bench expression`" in session.run(":bench"), session.seen)
    session.send(":time (1 +\r")
    session.expect(r"^\.\.\.> \Z", "the rest of the expression")
    check(session.run("2)").startswith("3\n"), session.seen)
    equal(session.close(), 0)


def editing(gradus, home):
    editor = os.path.join(home, "editor")
    with open(editor, "w") as file:
        file.write('#!/bin/sh\nsed "s/1/100/" "$2" > "$2.new"\nmv "$2.new" "$2"\n')
    os.chmod(editor, 0o755)
    session = Session(gradus, home, more={"VISUAL": f"{editor} --wait", "TMPDIR": home})
    session.prompt()
    session.run("1 + 1")
    session.run("2 + 1")
    equal(session.run(":edit"), "102\n")
    equal(session.run(":edit 1"), "101\n")
    check("there is no input 99" in session.run(":edit 99"), session.seen)
    # What was edited is in the history.
    equal(session.run(":edit 1"), "101\n")
    session.send(UP)
    session.expect(r"100 \+ 1\s*\Z", "the edited input")
    equal(session.run(""), "101\n")
    path = os.path.join(home, "file.nn")
    with open(path, "w") as file:
        file.write("y = 1\ny\n")
    equal(session.run(f":edit {path}"), "100\n")
    equal([name for name in os.listdir(home) if name.startswith("gradus-")], [])
    equal(session.close(), 0)
    session = Session(gradus, home, more={"VISUAL": "/nowhere/editor"})
    session.prompt()
    session.run("1 + 1")
    check("error[no-editor]" in session.run(":edit"), session.seen)
    equal(session.close(), 0)


def a_saved_session_passes(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    helper = os.path.join(home, "helper.nn")
    with open(helper, "w") as file:
        file.write("# Twice as much.\nfn twice(x) = 2 * x\ntwice(4)\n#> 8\n")
    equal(session.run(f":load {helper}"), "8\n")
    equal(session.run(":reload"), "8\n")
    # Errors of all kinds, a value taken by its number, what differs from run to run, and several outputs of one input.
    for line in ("y = unknown_then", "unknown_then = 3", "1 +* 2", "[1, 2] @ [1, 2, 3]", "fn f(x) = x", "f(1, 2)",
                 "fn f(x, y) = x + y", "f(1, 2)", "[1.5, 2.5]", "twice(1)", "Out[10] + 1", "t = clock()", "t",
                 ":time twice(21)", "normal([2])", ":bench normal([2])", ":type normal([3])", "normal([2])", ":vars",
                 "step double(x) = 2 * x", "double([1.0, 2.0])", "memory(double, [1.0, 2.0])"):
        session.run(line)
    session.send(PASTE_ON + "# A cell\n1\n\n2; print(\"two\")\n#> three\n# The end" + PASTE_OFF)
    session.run("")
    session.send("while true {}\r")
    time.sleep(0.3)
    session.send(CTRL_C)
    session.prompt()
    saved = os.path.join(home, "saved.nn")
    session.run(f":save {saved}")
    text = open(saved).read()
    run = subprocess.run([gradus, "test", saved], capture_output=True, text=True)
    check(run.returncode == 0, text + run.stdout + run.stderr)
    for part in ("#! error[syntax]", "#! error[shape-mismatch]", "#! error[too-many-arguments]", "#   y = unknown_then",
                 "# interrupted:\n#   while true {}", "#~ ", "fn twice(x)", "1\n#> 1\n\n2; print(\"two\")\n#> two\n# The end"):
        check(part in text, part + "\nin\n" + text)
    session.run(":reset")
    session.run("5")
    session.run(f":save {saved}")
    equal(open(saved).read(), "5\n#> 5\n")
    equal(session.close(), 0)


def start_up_file(gradus, home):
    config = os.path.join(home, "config")
    os.makedirs(os.path.join(config, "gradus"))
    with open(os.path.join(config, "gradus", "init.nn"), "w") as file:
        file.write("fn mine(x) = x + 1\nprint(\"ready\")\n")
    # Nothing of the folder at hand runs by itself.
    with open(os.path.join(home, "init.nn"), "w") as file:
        file.write("print(\"not this one\")\n")
    session = Session(gradus, home, folder=home, more={"XDG_CONFIG_HOME": config})
    check(session.prompt().endswith("name\nready\n"), session.seen)
    equal(session.run("mine(1)"), "2\n")
    equal(session.close(), 0)
    session = Session(gradus, home, ["--no-init"], folder=home, more={"XDG_CONFIG_HOME": config})
    check(session.prompt().endswith("name\n"), session.seen)
    check("unknown-name" in session.run("mine(1)"), session.seen)
    equal(session.close(), 0)
    # One with a mistake says so, and the session is there.
    with open(os.path.join(config, "gradus", "init.nn"), "w") as file:
        file.write("nonsense\n")
    session = Session(gradus, home, more={"XDG_CONFIG_HOME": config})
    check("init.nn:1:1" in session.prompt(), session.seen)
    equal(session.run("1"), "1\n")
    equal(session.close(), 0)
    run = subprocess.run([gradus, "-e", "1"], capture_output=True, text=True, env=dict(os.environ, XDG_CONFIG_HOME=config))
    equal((run.stdout, run.stderr), ("1\n", ""))


def colors(gradus, home):
    def has_color(arguments=(), **more):
        session = Session(gradus, home, ["-e", "nonsense", *arguments], more=more)
        equal(session.wait(), 1)
        return b"\x1b[" in session.raw

    def is_piped_in_color(arguments=(), **more):
        environment = {**{key: value for key, value in os.environ.items() if "COLOR" not in key}, **more}
        run = subprocess.run([gradus, "-e", "nonsense", *arguments], capture_output=True, env=environment)
        return b"\x1b[" in run.stderr

    equal(has_color(), True)
    equal(has_color(NO_COLOR="1"), False)
    equal(has_color(NO_COLOR=""), True)
    equal(has_color(TERM="dumb"), False)
    equal(has_color(["--color=never"]), False)
    equal(has_color(["--color=always"], NO_COLOR="1"), True)
    equal(is_piped_in_color(), False)
    equal(is_piped_in_color(FORCE_COLOR="1"), True)
    equal(is_piped_in_color(FORCE_COLOR="1", NO_COLOR="1"), False)
    equal(is_piped_in_color(["--color=always"]), True)
    # A dumb terminal is sent nothing that it would print instead of obeying.
    session = Session(gradus, home, more={"TERM": "dumb"})
    session.prompt()
    session.run("for i in progress(1...200) { t = clock()\nwhile clock() - t < 0.002 { } }")
    session.run(":clear")
    equal(session.run("nonsense").splitlines()[0], "error[unknown-name]: no `nonsense` here")
    equal(session.close(), 0)
    check(b"\x1b[" not in session.raw, session.raw)


def transcript_with_marked_outputs(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.send(PASTE_ON + "nn> a = 20\n\nnn> a + 1\n#> 21\nnn> fn f(x) {\n  x + 2\n}\n\nnn> f(a) + a\n#> 42\n" + PASTE_OFF)
    output = session.run("")
    check(output.endswith("21\n42\n"), output)
    equal(session.run("f(1)"), "3\n")
    equal(session.close(), 0)


def interrupt_while_training(gradus, home):
    session = Session(gradus, home)
    session.prompt()
    session.run("net = MLP([64, 128, 10])")
    session.run("opt = adamw()")
    session.run("step train(x, y) { loss = cross_entropy(net(x), y); minimize(loss, net, opt); loss }")
    session.run("(x, y) = (normal([64, 64]), randint(0, 10, [64]))")
    session.run("count = 0")
    session.send("while true { train(x, y); count += 1 }\r")
    time.sleep(0.6)
    start = time.monotonic()
    session.send(CTRL_C)
    output = session.prompt()
    check(time.monotonic() - start < 1, time.monotonic() - start)
    match = re.search(r"interrupted after step ([0-9,]+) of `train`: parameters and optimizer state are those of it", output)
    check(match, output)
    number = int(match[1].replace(",", ""))
    # The interrupt may come between the step and the line that counts it.
    check(number - int(session.run("count")) in (0, 1), number)
    check(f"trained since by `opt`, {match[1]} steps" in session.run(":why net.layers[0].weight"), session.seen)
    session.run("train(x, y);")
    check(f"trained since by `opt`, {number + 1:,} steps" in session.run(":why net.layers[0].weight"), session.seen)
    # Where nothing was trained there is nothing to say.
    session.send("while true {}\r")
    time.sleep(0.3)
    session.send(CTRL_C)
    equal(session.prompt().splitlines()[-1].removeprefix("^C"), "interrupted")
    equal(session.close(), 0)


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
    transcript_with_marked_outputs, interrupt_at_the_prompt, interrupt_while_running, interrupt_in_a_large_product,
    interrupt_while_training, questions, progress, drawings, completion, completion_shows_what_names_hold, history, history_search,
    help_pages, commands, outputs_by_number, looking_around, editing, a_saved_session_passes, start_up_file, colors,
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
