#!/usr/bin/env python3
"""Talks to the Jupyter kernel as notebooks and consoles do, and as nobody should.

    scripts/tests/kernel.py PATH-TO-GRADUS

Needs jupyter_kernel_test and nbclient from PyPI; `scripts/test` keeps them in an environment of their own.
The last line counts.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

import jupyter_kernel_test
import nbclient
import nbformat
import zmq
from jupyter_client.manager import KernelManager

ANSI = re.compile(r"\x1b\[[0-9;]*m")
# Seconds to wait for what should be there at once: machines that run the tests may be busy.
PATIENCE = float(os.environ.get("PATIENCE", "30"))


def check(condition, saw):
    if not condition:
        raise AssertionError(f"saw {saw!r}")


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def install(gradus, prefix):
    """Installs the kernel below a folder, and has Jupyter look there first."""
    done = subprocess.run(
        [gradus, "kernel", "install", "--prefix", prefix], check=True, text=True, stdout=subprocess.PIPE)
    os.environ["JUPYTER_PATH"] = os.path.join(prefix, "share", "jupyter")
    return done.stdout


class Kernel:
    """A kernel, and a client that is connected to it."""

    def __init__(self, folder=None):
        self.manager = KernelManager(kernel_name="gradus")
        self.manager.start_kernel(cwd=folder)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def send(self, code, **more):
        return self.client.execute(code, **more)

    def shell(self, request):
        """The reply to a request."""
        while True:
            reply = self.client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == request:
                return reply["content"]

    def heard(self, request):
        """What was published for a request, as (type, content), between `busy` and `idle`."""
        heard = []
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != request:
                continue
            heard.append((message["msg_type"], message["content"]))
            if heard[-1] == ("status", {"execution_state": "idle"}):
                equal(heard[0], ("status", {"execution_state": "busy"}))
                return heard[1:-1]

    def run(self, code, **more):
        """Runs code, and returns the reply and what was published beside the code itself."""
        request = self.send(code, **more)
        reply = self.shell(request)
        return reply, [(kind, content) for kind, content in self.heard(request) if kind != "execute_input"]

    def value(self, code):
        """The text of the value that a cell ends in."""
        reply, heard = self.run(code)
        check(reply["status"] == "ok", reply)
        return [content["data"]["text/plain"] for kind, content in heard if kind == "execute_result"][0]

    def wait_for(self, kind, request):
        """Waits until something of a kind is published for a request."""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == request and message["msg_type"] == kind:
                return message["content"]

    def text(self, code, **more):
        """What a terminal would show: the words of the program and its values, without colours."""
        request = self.send(code, **more)
        self.shell(request)
        return transcript(self.heard(request))

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def transcript(heard):
    pieces = []
    for kind, content in heard:
        if kind == "stream":
            pieces.append(content["text"])
        elif kind == "error":
            pieces.append("\n".join(content["traceback"]) + "\n")
        elif kind == "execute_result" or kind == "display_data" and not content.get("transient"):
            pieces.append(content["data"]["text/plain"] + "\n")
    return ANSI.sub("", "".join(pieces))


@contextlib.contextmanager
def kernel(folder=None):
    it = Kernel(folder)
    try:
        yield it
    finally:
        it.end()


# Each check gets a kernel that others use too.


def outputs_in_order(it):
    reply, heard = it.run('1 + 1\nprint("a")\n2 + 2\nprint("b")\n3 + 3')
    equal(reply["status"], "ok")
    equal([kind for kind, _ in heard], ["display_data", "stream", "display_data", "stream", "execute_result"])
    equal(transcript(heard), "2\na\n4\nb\n6\n")
    equal(heard[-1][1]["execution_count"], reply["execution_count"])
    equal(it.value("_ + 1"), "7")
    equal(it.run("5;")[1], [])


def errors_look_as_in_the_terminal(it):
    reply, heard = it.run("a = ones([2, 3])\na @ a")
    equal([kind for kind, _ in heard], ["error"])
    error = heard[0][1]
    equal((reply["status"], reply["ename"], error["ename"]), ("error", "shape-mismatch", "shape-mismatch"))
    text = ANSI.sub("", "\n".join(error["traceback"]))
    check(text.startswith(f"error[shape-mismatch]: {error['evalue']}\n"), text)
    check(f"--> <cell {reply['execution_count']}>:2:3\n" in text and "a @ a" in text, text)
    # What a cell did before it failed is kept; one with mistakes does not begin.
    it.run("kept = 1\nones([2]) @ ones([3])")
    equal(it.value("kept"), "1")
    reply, heard = it.run('print("never")\nnothing_of_that_name\nnor_of_this')
    equal([kind for kind, _ in heard], ["error"])
    check("nor_of_this" in "\n".join(heard[0][1]["traceback"]), heard)
    # An error that the cell expects is told, and the cell goes on.
    reply, heard = it.run("[1, 2] @ [1, 2, 3]\n#! error[shape-mismatch]\n7")
    equal([(kind, content.get("name")) for kind, content in heard], [("stream", "stderr"), ("execute_result", None)])


def silence_and_history(it):
    before = it.run("0;")[0]["execution_count"]
    request = it.send('print("x")\n1', silent=True)
    equal(it.shell(request)["execution_count"], before)
    equal(it.heard(request), [])
    request = it.send("nothing_of_that_name", silent=True)
    equal(it.shell(request)["status"], "error")
    equal(it.heard(request), [])
    reply, heard = it.run("11", store_history=False)
    equal((reply["execution_count"], heard[0][0]), (before, "execute_result"))
    equal(it.run("12")[0]["execution_count"], before + 1)
    history = it.shell(it.client.history(hist_access_type="tail", n=2, output=True))["history"]
    equal(history, [[1, before, ["0;", None]], [1, before + 1, ["12", "12"]]])


def user_expressions(it):
    expressions = {"sum": "1 + 2", "bad": "nothing_of_that_name", "loud": 'print("x")', "text": '"a"'}
    reply, heard = it.run("unheard = 1", user_expressions=expressions)
    values = reply["user_expressions"]
    equal(heard, [])
    equal(values["sum"]["data"]["text/plain"], "3")
    equal((values["bad"]["status"], values["bad"]["ename"]), ("error", "unknown-name"))
    equal(values["loud"]["status"], "ok")
    equal(values["text"]["data"]["text/plain"], '"a"')
    equal(it.run("nothing_of_that_name", user_expressions={"a": "1"})[0]["user_expressions"], {})


def stop_on_error(it):
    requests = [it.send(code) for code in ("ones([2]) @ ones([3])", "after = 1", "after = 2")]
    replies = [it.shell(request) for request in requests]
    equal([reply["status"] for reply in replies], ["error"] * 3)
    equal([reply["ename"] for reply in replies], ["shape-mismatch", "interrupted", "interrupted"])
    for request in requests:
        it.heard(request)
    equal(it.run("after")[0]["ename"], "unknown-name")
    requests = [it.send("ones([2]) @ ones([3])", stop_on_error=False), it.send("after = 3")]
    equal([it.shell(request)["status"] for request in requests], ["error", "ok"])
    it.heard(requests[-1])


STEP = """net = MLP([8, 16, 4])
opt = adamw(lr: 0.01)
step train(x, y) {
  loss = cross_entropy(net(x), y)
  minimize(loss, net, opt)
  loss
}
(x, y) = (normal([32, 8]), randint(0, 4, [32]))
"""


def rich_display(it):
    it.run(STEP)

    def data(code):
        return [content["data"] for kind, content in it.run(code)[1] if kind == "execute_result"][0]

    table = data("memory(train, x, y)")
    check(table["text/plain"].startswith("memory of train(") and "<table>" in table["text/html"], table)
    check("<td" in table["text/html"] and "optimizer state" in table["text/html"], table)
    check("does not fit" not in data("compare(train, train with checkpoint: sqrt, args: (x, y))")["text/html"], "")
    check("does not fit" in data("compare(train, train with budget: 1KiB, args: (x, y))")["text/html"], "")
    check("<table>" in data("fit(train, x, y)")["text/html"], "")
    matrix = data("[[1.0, 2.5], [3.0, 4.0]] + 0")
    check("<td" in matrix["text/html"] and "2.5000" in matrix["text/html"] and "f32[2, 2]" in matrix["text/plain"], matrix)
    check("layers.0.weight" in data("net")["text/html"], "")
    check("<td" in data('(rate: 0.1, name: "<a>", w: x)')["text/html"], "")
    check("&lt;a&gt;" in data('(rate: 0.1, name: "<a>", w: x)')["text/html"], "")
    check("deviation" in data("summary(net)")["text/html"], "")
    check("because" in data("explain(train, x, y)")["text/html"], "")
    for code in (
        "timeline(train, x, y)", "histogram(x, f16)", "histogram(x)", "plot(loss: [2, 1], other: [1, 2])",
        "scatter([1, 2], [3, 4])", "heatmap(eye(3))",
    ):
        drawing = data(code)
        check(drawing["image/svg+xml"].startswith("<svg ") and drawing["text/plain"], drawing)
    equal(sorted(data("1 + 1")), ["text/plain"])


def live_progress(it):
    reply, heard = it.run("for i in progress(1...300) { t = clock()\nwhile clock() - t < 0.002 { } }\nfor i in progress(1...3) { }")
    equal(reply["status"], "ok")
    kinds = [kind for kind, _ in heard]
    equal(kinds, ["display_data"] + ["update_display_data"] * (len(kinds) - 1))
    check(len(kinds) > 2, kinds)
    equal(len({content["transient"]["display_id"] for _, content in heard}), 1)
    check("100%  300/300" in heard[-1][1]["data"]["text/plain"], heard[-1])
    check('value="300" max="300"' in heard[-1][1]["data"]["text/html"], heard[-1])


def commands(it):
    reply, heard = it.run("?relu")
    equal((reply["payload"][0]["source"], heard), ("page", []))
    check(reply["payload"][0]["data"]["text/plain"].startswith("relu("), reply)
    equal(it.text(":type ones([2, 3])"), "f32[2, 3]   24 B\n")
    check(re.match(r"\d[\d.]* (ns|µs|ms|s)\n", it.text(":time 1 + 1;")), it.text(":time 1 + 1;"))
    equal(it.run(":halp")[0]["ename"], "unknown-command")
    equal(it.run(":quit")[0]["payload"], [{"source": "ask_exit", "keepkernel": False}])
    equal([kind for kind, _ in it.run(":clear")[1]], ["clear_output"])
    reply, _ = it.run("6 * 7")
    equal(it.text(f"Out[{reply['execution_count']}] + 1"), "43\n")
    it.run("x = ones([2, 3])")
    check("  24 B  x  " in it.text(":mem"), it.text(":mem"))
    check("x = ones([2, 3])" in it.text(":why x"), it.text(":why x"))
    check(" per loop (mean ± standard deviation of 7 runs of " in it.text(":bench x + 1"), it.text(":bench x + 1"))
    check("optimizer adamw(" in it.run("??adamw")[0]["payload"][0]["data"]["text/plain"], "")
    equal(it.text(":! echo from the shell"), "from the shell\n")
    equal(it.run(":edit")[0]["ename"], "no-editor")
    # What a session says is saved with it, and passes as a test.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "saved.nn")
        it.run(":reset")
        it.run("6 * 7")
        it.run("ones([2]) @ ones([3])")
        equal(it.run(f":save {path}")[0]["status"], "ok")
        check("6 * 7\n#> 42\n" in open(path).read() and "#! error[shape-mismatch]" in open(path).read(), open(path).read())


def completion_and_inspection(it):
    it.run('größe = 3\nnet = MLP([2, 3])\nbox = (weight: 1, width: 2)')

    def complete(text, cursor=None):
        content = it.shell(it.client.complete(text, cursor))
        return content["matches"], text[content["cursor_start"]:content["cursor_end"]]

    equal(complete("grö"), (["größe"], "grö"))
    # Positions count characters, not bytes, and what follows the cursor is of no matter.
    equal(complete('"äöü" + box.w + 1', 13), (["weight", "width"], "w"))
    equal(complete("softmax(größe, ax")[0], ["axis:"])
    check("relu" in complete("x = 1\nrel")[0], complete("x = 1\nrel"))
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "data"))
        open(os.path.join(folder, "day.csv"), "w").close()
        equal(complete(f'load("{folder}/da')[0], [f"{folder}/data/", f"{folder}/day.csv"])
    content = it.shell(it.client.complete("softm"))
    types = {item["text"]: item for item in content["metadata"]["_jupyter_types_experimental"]}
    equal((types["softmax"]["signature"], types["softmax"]["type"]), ("(x, axis = -1)", "function"))
    equal(complete("adamw() with rounding: st")[0], ["stochastic"])
    equal(complete(":ti")[0], [":time"])
    for position in range(-1, 12):
        it.shell(it.client.complete("box.w(\"ä\n", position))

    def page(text, cursor=None):
        content = it.shell(it.client.inspect(text, cursor))
        return content["data"]["text/plain"] if content["found"] else None

    check(page("softmax").startswith("softmax("), page("softmax"))
    check(page("softmax(größe, ").startswith("softmax("), page("softmax(größe, "))
    check(page("y = relu(x)", 6).startswith("relu("), page("y = relu(x)", 6))
    check("f32[2, 3]" in page("net.layers[0].weight"), page("net.layers[0].weight"))
    content = it.shell(it.client.inspect("adamw", None, 1))
    check("state m = zeros_like(p)" in content["data"]["text/plain"], content)
    equal(page("nothing_of_that_name"), None)
    equal(page(""), None)


def is_complete(it):
    def status(code):
        content = it.shell(it.client.is_complete(code))
        return content["status"], content.get("indent")

    equal(status("fn f(x) {"), ("incomplete", "  "))
    equal(status("fn f(x) {\n  y = 1"), ("incomplete", "  "))
    equal(status("1 + 1"), ("complete", None))
    equal(status("?relu"), ("complete", None))
    equal(status(":time relu(x"), ("incomplete", "  "))
    equal(status("1 + )"), ("invalid", None))


def questions(it):
    def asked(code):
        request = it.client.execute(code, allow_stdin=True)
        question = it.client.get_stdin_msg(timeout=PATIENCE)
        equal(question["msg_type"], "input_request")
        return request, question["content"]

    request, question = asked('name = ask("name? ")\n"hello, {name}"')
    equal(question, {"prompt": "name? ", "password": False})
    it.client.input("Ada ß")
    equal(it.shell(request)["status"], "ok")
    equal(transcript(it.heard(request)), '"hello, Ada ß"\n')
    # A question can be left unanswered.
    request, _ = asked('ask("and? ")')
    it.manager.interrupt_kernel()
    equal(it.shell(request)["ename"], "interrupted")
    it.heard(request)
    request, _ = asked('ask("again? ")')
    it.client.input("yes")
    equal(it.shell(request)["status"], "ok")
    equal(transcript(it.heard(request)), '"yes"\n')
    equal(it.run('ask("nobody? ")', allow_stdin=False)[0]["ename"], "no-answer")


def interrupted(it, code, pause):
    """Runs code, interrupts it, and returns how long it took to stop."""
    request = it.send(code)
    it.wait_for("execute_input", request)
    time.sleep(pause)
    start = time.monotonic()
    it.manager.interrupt_kernel()
    reply = it.shell(request)
    taken = time.monotonic() - start
    equal((reply["status"], reply["ename"]), ("error", "interrupted"))
    it.wait_for("error", request)
    it.wait_for("status", request)
    return taken


def interrupt_in_a_matmul(it):
    # One product that takes many seconds, and many that take a tenth.
    it.run("a = normal([8000, 8000])\nb = normal([2000, 2000])\nd = f64(b)\nstep square(x) = x @ x")
    for code in ("c = a @ a", "c = square(a)", "while true { e = b @ b }", "while true { e = d @ d }"):
        taken = interrupted(it, code, 0.4)
        check(taken < 1, (code, taken))
    equal(it.value("a.shape"), "[8000, 8000]")
    equal(it.run("c")[0]["ename"], "unset-name")
    it.run("a = 0\nb = 0\nd = 0")


def interrupt_in_a_loop(it):
    it.run(STEP)
    for code in ("while true { }", "while true { train(x, y) }", "n = 0\nwhile true { n += 1\nprint(n) }"):
        check(interrupted(it, code, 0.2) < 1, code)
    check(interrupted(it, ":! sleep 20 & sleep 20", 0.2) < 1, "the shell")
    # All names are kept, and the kernel goes on as if nothing had been.
    check(int(it.value("n")) > 0, "")
    equal(it.text("train(x, y) > 0"), "true\n")
    # An interrupt while nothing runs stops nothing later. Channels have no common order, so its reply is waited for.
    it.client.control_channel.send(it.client.session.msg("interrupt_request"))
    equal(it.client.get_control_msg(timeout=PATIENCE)["msg_type"], "interrupt_reply")
    equal(it.text("total = 0\nfor i in 1...100000 { total += 1 }\ntotal"), "100000\n")
    # A signal does the same.
    request = it.send("while true { }")
    it.wait_for("execute_input", request)
    os.kill(it.manager.provisioner.pid, signal.SIGINT)
    equal(it.shell(request)["ename"], "interrupted")
    it.wait_for("status", request)


def control_is_answered_while_a_program_runs(it):
    request = it.send("while true { }")
    it.wait_for("execute_input", request)
    start = time.monotonic()
    it.client.control_channel.send(it.client.session.msg("kernel_info_request"))
    reply = it.client.get_control_msg(timeout=PATIENCE)
    equal((reply["msg_type"], reply["content"]["implementation"]), ("kernel_info_reply", "gradus"))
    check(time.monotonic() - start < 1, time.monotonic() - start)
    check(it.client.hb_channel.is_beating(), "no heartbeat")
    it.manager.interrupt_kernel()
    it.shell(request)
    it.wait_for("status", request)


def nothing_printed_last_is_lost(it):
    for number in range(1000):
        request = it.send(f'number = {number}\nprint("line {{number}}")')
        equal(transcript(it.heard(request)), f"line {number}\n")
        it.shell(request)


def floods_arrive_whole(it):
    request = it.send('for i in 1...200000 { print("line {i}") }\nprint("ä" + "\\u{0}" + "end")')
    it.shell(request)
    heard = it.heard(request)
    equal(transcript(heard), "".join(f"line {i}\n" for i in range(1, 200001)) + "ä\0end\n")
    check(len(heard) < 2000, len(heard))


def malformed_messages(it):
    """The kernel takes anything that comes, does nothing for who has no key, and goes on."""
    session = it.client.session
    context = zmq.Context.instance()
    info = it.manager.get_connection_info()

    def signed(header, parent, metadata, content):
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, parent, metadata, content)]
        return [b"<IDS|MSG>", session.sign(parts), *parts]

    def header(kind):
        return session.msg_header(kind) | {"date": "now"}

    deep = b'{"code":' + b"[" * 100000 + b"]" * 100000 + b"}"
    good = signed(header("execute_request"), {}, {}, {"code": "forged = 1"})
    messages = [
        [b""], [b"", b""], [b"<IDS|MSG>"], [b"<IDS|MSG>"] * 9, [b"x"] * 300, [b"\xff" * 100000], good[:-1], good[:2],
        [b"<IDS|MSG>", b"", *good[2:]], [b"<IDS|MSG>", b"0" * 64, *good[2:]], [b"<IDS|MSG>", good[1][:-1], *good[2:]],
        [*good[:-1], good[-1] + b" "],
        signed(b"", b"", b"", b""), signed(b"{", b"{}", b"{}", b"{}"), signed(b"[]", b"[]", b"[]", b"[]"),
        signed(b"\xff\xfe", b"{}", b"{}", b"{}"), signed({}, {}, {}, {}), signed({"msg_type": 5}, {}, {}, {}),
        signed(header("execute_request"), {}, {}, b'"text"'), signed(header("execute_request"), {}, {}, deep),
        signed(header("execute_request"), {}, {}, b'{"code": "\\ud800"}'), signed(header("x" * 100000), {}, {}, {}),
        signed(header("kernel_info_reply"), {}, {}, {}), signed(header(""), {}, {}, {}),
        signed(header("comm_open"), {}, {}, {"comm_id": "1", "target_name": "a"}), signed(header("comm_msg"), {}, {}, {}),
        signed(header("execute_request"), b"not json", b"not json", {"code": "1"}),
    ]
    wrong = [None, True, -1, 1e308, 2**70, "text", [], {}, [[]], {"a": None}]
    kinds = ["execute", "complete", "inspect", "is_complete", "history", "kernel_info", "comm_info", "connect", "unheard_of"]
    names = ["code", "cursor_pos", "silent", "store_history", "user_expressions", "allow_stdin", "stop_on_error",
             "hist_access_type", "n", "start", "stop", "session", "pattern", "unique", "output", "detail_level"]
    for kind in kinds:
        for value in wrong:
            messages.append(signed(header(f"{kind}_request"), {}, {}, {name: value for name in names}))
            messages.append(signed(header(f"{kind}_request"), value, value, {"hist_access_type": "search", "code": "ä", "cursor_pos": value, "pattern": "[", "n": value}))
    for port in ("shell_port", "control_port", "stdin_port", "hb_port", "iopub_port"):
        with context.socket(zmq.DEALER if port != "iopub_port" else zmq.SUB) as channel:
            channel.linger = 2000
            channel.connect(f"tcp://{info['ip']}:{info[port]}")
            if port == "iopub_port":
                channel.subscribe(b"\xff\xfe")
                time.sleep(0.1)
                continue
            for message in messages:
                channel.send_multipart(message)
    # Not even ZeroMQ.
    for port in ("shell_port", "control_port"):
        with socket.create_connection((info["ip"], info[port])) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n" + os.urandom(10000))
    time.sleep(0.2)
    equal(it.text("6 * 7"), "42\n")
    equal(it.run("forged")[0]["ename"], "unknown-name")


# These start kernels of their own.


def shutdown(restart):
    with kernel() as it:
        request = it.send("while true { }")
        it.wait_for("execute_input", request)
        it.client.control_channel.send(it.client.session.msg("shutdown_request", {"restart": restart}))
        reply = it.client.get_control_msg(timeout=PATIENCE)
        equal((reply["msg_type"], reply["content"]), ("shutdown_reply", {"status": "ok", "restart": restart}))
        deadline = time.monotonic() + PATIENCE
        process = it.manager.provisioner.process
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        equal(process.poll(), 0)


def shutdown_while_a_program_runs(_):
    shutdown(restart=False)
    shutdown(restart=True)


def shutdown_by_the_shell_channel(_):
    with kernel() as it:
        request = it.client.session.msg("shutdown_request", {"restart": False})
        it.client.shell_channel.send(request)
        equal(it.shell(request["header"]["msg_id"]), {"status": "ok", "restart": False})


def restart(_):
    with kernel() as it:
        it.run("gone = 1")
        it.manager.restart_kernel()
        it.client.wait_for_ready(timeout=PATIENCE)
        equal(it.run("gone")[0]["ename"], "unknown-name")
        equal(it.run("1")[0]["execution_count"], 2)


def ends_with_its_front_end(_):
    code = "from jupyter_client.manager import KernelManager as M; m = M(kernel_name='gradus'); m.start_kernel(); " \
        "print(m.provisioner.pid, flush=True); input()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + PATIENCE
    while os.path.exists(f"/proc/{child}") and " Z " not in open(f"/proc/{child}/stat").read():
        check(time.monotonic() < deadline, "the kernel lives on")
        time.sleep(0.1)


def two_front_ends(_):
    with kernel() as it:
        other = it.manager.blocking_client()
        other.start_channels()
        other.wait_for_ready(timeout=PATIENCE)
        request = it.send("21 * 2")
        equal(transcript(it.heard(request)), "42\n")
        seen = []
        while not seen or seen[-1] != "execute_result":
            seen.append(other.get_iopub_msg(timeout=PATIENCE)["msg_type"])
        other.stop_channels()


def unsigned_connection(_):
    manager = KernelManager(kernel_name="gradus")
    manager.session.key = b""
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def notebook_from_end_to_end(_):
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "gradus", "display_name": "Gradus"}})
    cells = [
        STEP, "timeline(train, x, y)", "for i in 1...20 { train(x, y) }\nprint(\"trained\")", "memory(train, x, y)",
        "x @ x", 'train(x, y) > 0', "for i in progress(1...300) { t = clock()\nwhile clock() - t < 0.002 { } }",
    ]
    notebook.cells = [nbformat.v4.new_markdown_cell("# A test")] + [nbformat.v4.new_code_cell(cell) for cell in cells]
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook, timeout=PATIENCE, allow_errors=True, resources={"metadata": {"path": folder}})
        client.execute()
    nbformat.validate(notebook)
    outputs = [cell.outputs for cell in notebook.cells[1:]]
    equal([[output.output_type for output in cell] for cell in outputs], [
        [], ["execute_result"], ["stream"], ["execute_result"], ["error"], ["execute_result"], ["display_data"]])
    check("image/svg+xml" in outputs[1][0].data and "text/html" in outputs[3][0].data, outputs)
    equal((outputs[2][0].text, outputs[5][0].data["text/plain"]), ("trained\n", "true"))
    check("300/300" in outputs[6][0].data["text/plain"], outputs[6])
    equal([cell.execution_count for cell in notebook.cells[1:]], list(range(1, 8)))
    # Without allow_errors it stops at the error.
    try:
        nbclient.NotebookClient(notebook, timeout=PATIENCE).execute()
    except nbclient.exceptions.CellExecutionError as error:
        check("shape-mismatch" in str(error), str(error))
    else:
        raise AssertionError("the error did not stop the notebook")


def installation(gradus):
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"]}

        def run(*arguments, code=0, **more):
            done = subprocess.run(
                [gradus, "kernel", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=environment | more)
            equal(done.returncode, code)
            return done.stdout

        folder = f"{home}/.local/share/jupyter/kernels/gradus"
        equal(run("install"), f"installed in {folder}\n")
        equal(run("install", "--user"), f"installed in {folder}\n")
        spec = json.load(open(f"{folder}/kernel.json"))
        equal(spec["argv"], [os.path.realpath(gradus), "kernel", "run", "{connection_file}"])
        equal((spec["interrupt_mode"], spec["language"], spec["display_name"]), ("message", "gradus", "Gradus"))
        check(open(f"{folder}/logo-svg.svg").read().startswith("<svg "), "")
        equal(run("install", "--user", JUPYTER_DATA_DIR=f"{home}/data"), f"installed in {home}/data/kernels/gradus\n")
        equal(run("install", "--prefix", f"{home}/p"), f"installed in {home}/p/share/jupyter/kernels/gradus\n")
        run("install", "--prefix", "x", "--user", code=2)
        check("cannot make" in run("install", "--prefix", "/proc/none", code=1), "")
        # Connection files that are none.
        for text, word in (("", "not JSON"), ("[]", "another kind"), ("{}", "no `shell_port`"),
                           ('{"shell_port": "a"}', "`shell_port` is of another kind")):
            path = f"{home}/connection.json"
            open(path, "w").write(text)
            check(word in run("run", path, code=1), run("run", path, code=1))
        run("run", f"{home}/nothing.json", code=2)


SHARED = [
    outputs_in_order, errors_look_as_in_the_terminal, silence_and_history, user_expressions, stop_on_error, rich_display,
    live_progress, completion_and_inspection, is_complete, questions, interrupt_in_a_matmul, interrupt_in_a_loop,
    control_is_answered_while_a_program_runs, nothing_printed_last_is_lost, floods_arrive_whole, malformed_messages, commands,
]
ALONE = [
    shutdown_while_a_program_runs, shutdown_by_the_shell_channel, restart, ends_with_its_front_end, two_front_ends,
    unsigned_connection, notebook_from_end_to_end, installation,
]


class Conformance(jupyter_kernel_test.KernelTests):
    kernel_name = "gradus"
    language_name = "gradus"
    file_extension = ".nn"
    code_hello_world = 'print("hello, world")'
    code_stderr = "[1, 2] @ [1, 2, 3]\n#! error[shape-mismatch]"
    completion_samples = [
        {"text": "accura", "matches": ["accuracy"]}, {"text": "x = parameter_c", "matches": ["parameter_count"]},
        {"text": "nothing_of_that", "matches": []},
    ]
    complete_code_samples = ["1", "x = [1, 2]", "fn f(x) = x", "fn f(x) {\n  x\n}", ":help relu"]
    incomplete_code_samples = ["fn f(x) {", "(1 +", "[1, 2,"]
    invalid_code_samples = ["1 + )", '"abc', "fn = 3"]
    code_page_something = "?softmax"
    code_generate_error = "ones([2]) @ ones([3])"
    code_execute_result = [
        {"code": "6 * 7", "result": "42"}, {"code": "ones([2])", "result": "f32[2]\n[1., 1.]"},
        {"code": '"a" + "b"', "result": '"ab"'},
        {"code": "step double(x) = 2 * x\ntimeline(double, [1.0])", "mime": "image/svg+xml"},
        {"code": "step double(x) = 2 * x\nmemory(double, [1.0])", "mime": "text/html"},
    ]
    code_display_data = [
        {"code": "step double(x) = 2 * x\ntimeline(double, [1.0])\n0;", "mime": "image/svg+xml"},
        {"code": "histogram(normal([100]), f16)\n0;", "mime": "image/svg+xml"},
        {"code": "1 + 1\n0;", "mime": "text/plain"},
    ]
    code_history_pattern = "6*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "softmax"
    code_clear_output = ":clear"


class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "gradus"
    support_iopub_welcome = True


def conformance():
    """Runs the tests that every kernel should pass. One that is skipped has not passed."""
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in (Conformance, Welcome))
    result = unittest.TextTestRunner(stream=open(os.devnull, "w")).run(suite)
    bad = result.failures + result.errors + result.skipped
    for test, problem in bad:
        print(f"FAIL {test}: {problem.strip()}", flush=True)
    failed = len({getattr(test, "test_case", test).id() for test, _ in bad})
    passed = result.testsRun - failed
    print(f"jupyter_kernel_test: {passed} of {result.testsRun} passed, {len(result.skipped)} skipped", flush=True)
    return passed, failed


def main():
    gradus = os.path.abspath(sys.argv[1])
    wanted = sys.argv[2:]
    # What is interrupted must take its time, however many processors there are.
    os.environ["GRADUS_THREADS"] = "2"
    passed = failed = 0

    def run(one, argument):
        nonlocal passed, failed
        if wanted and one.__name__ not in wanted:
            return
        start = time.monotonic()
        try:
            one(argument)
            passed += 1
        except Exception as problem:
            failed += 1
            name = one.__name__.replace("_", " ")
            print(f"FAIL {name}: {type(problem).__name__}: {str(problem)[:2000]}", flush=True)
            if wanted:
                traceback.print_exc()
        if wanted:
            print(f"{one.__name__}: {time.monotonic() - start:.2f} s", flush=True)

    with tempfile.TemporaryDirectory() as prefix:
        install(gradus, prefix)
        with kernel() as shared:
            for one in SHARED:
                run(one, shared)
        for one in ALONE:
            run(one, gradus)
        if not wanted or "conformance" in wanted:
            more, less = conformance()
            passed, failed = passed + more, failed + less
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
