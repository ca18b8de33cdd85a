#!/usr/bin/env python3
"""Talks to `gradus lsp` as an editor does, and as none should.

    scripts/tests/lsp.py PATH-TO-GRADUS

The last line counts.
"""

import glob
import json
import os
import random
import select
import subprocess
import sys
import time

from checks import run  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
URI = "file:///tmp/editor%20test/script.nn"


class Server:
    def __init__(self, gradus, initialized=True):
        self.process = subprocess.Popen([gradus, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self.received, self.number = b"", 0
        self.notifications = []
        if initialized:
            self.capabilities = self.request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})["result"]
            self.notify("initialized", {})

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        body = json.dumps(message).encode()
        self.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def notify(self, method, parameters):
        self.send({"jsonrpc": "2.0", "method": method, "params": parameters})

    def receive(self, seconds=20):
        end = time.monotonic() + seconds
        while True:
            head, found, rest = self.received.partition(b"\r\n\r\n")
            if found:
                length = int(head.split(b":")[1])
                if len(rest) >= length:
                    self.received = rest[length:]
                    return json.loads(rest[:length])
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError("the server says nothing")
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                raise AssertionError("the server is gone")
            self.received += data

    def answer(self, number):
        while True:
            message = self.receive()
            if "method" in message:
                self.notifications.append(message)
            elif message.get("id") == number:
                return message
            else:
                raise AssertionError(f"an answer to nothing: {message}")

    def request(self, method, parameters):
        self.number += 1
        self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": parameters})
        return self.answer(self.number)

    def open(self, text, uri=URI):
        self.notify("textDocument/didOpen", {
            "textDocument": {"uri": uri, "languageId": "gradus", "version": 1, "text": text}})

    def diagnostics(self):
        """The newest diagnostics that the server publishes."""
        while True:
            message = self.notifications.pop(0) if self.notifications else self.receive()
            if message.get("method") == "textDocument/publishDiagnostics":
                return message["params"]["diagnostics"]

    def at(self, method, line, character, uri=URI):
        return self.request(method, {
            "textDocument": {"uri": uri}, "position": {"line": line, "character": character}}).get("result")

    def hover(self, line, character):
        result = self.at("textDocument/hover", line, character)
        return result["contents"]["value"] if result else ""

    def labels(self, line, character):
        return [item["label"] for item in self.at("textDocument/completion", line, character)]

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code


PROGRAM = """\
x = normal([32, 64])
net = MLP([64, 128, 10])
opt = adamw(lr: 1e-3)
step train(x, y) {
  loss = cross_entropy(net(x), y)
  minimize(loss, net, opt)
  loss
}
y = net(x)
text = "é𝛼"; z = y @ x
"""


def a_session(gradus):
    server = Server(gradus)
    capabilities = server.capabilities["capabilities"]
    assert capabilities["hoverProvider"] and capabilities["documentFormattingProvider"], capabilities
    server.open(PROGRAM)
    (mistake,) = server.diagnostics()
    assert mistake["code"] == "shape-mismatch" and mistake["severity"] == 1, mistake
    # The mark stands under `@`, behind a letter of two UTF-16 units.
    assert mistake["range"]["start"] == {"line": 9, "character": 20}, mistake["range"]
    assert mistake["relatedInformation"], mistake
    assert "f32[32, 10]" in server.hover(8, 0), server.hover(8, 0)
    assert "f32[32, 64], 8.0 KiB" in server.hover(0, 0), server.hover(0, 0)
    assert "parameters" in server.hover(1, 1)
    assert "normal(" in server.hover(0, 6)
    assert "f32[" not in server.hover(3, 3)
    definition = server.at("textDocument/definition", 8, 5)
    assert definition["range"]["start"]["line"] == 1, definition

    # The last line is mended, then broken anew, as one types.
    def change(version, *changes):
        server.notify("textDocument/didChange", {
            "textDocument": {"uri": URI, "version": version}, "contentChanges": list(changes)})
    change(2, {"range": {"start": {"line": 9, "character": 20}, "end": {"line": 9, "character": 21}}, "text": "*"},
           {"range": {"start": {"line": 9, "character": 22}, "end": {"line": 9, "character": 23}}, "text": "2"})
    assert server.diagnostics() == []
    change(3, {"text": "net = Linear(3, 4)\nnet.w\nsoftm\n"})
    codes = [mistake["code"] for mistake in server.diagnostics()]
    assert codes == ["unknown-member", "unknown-name"], codes
    assert server.labels(1, 5) == ["weight"], server.labels(1, 5)
    assert "softmax" in server.labels(2, 5)
    change(4, {"text": "x=[1,2]\n\n\n\n\nif x==[1,2]{print( x )}\n"})
    edits = server.request("textDocument/formatting", {"textDocument": {"uri": URI}, "options": {}})["result"]
    assert edits[0]["newText"].startswith("x = [1, 2]\n"), edits
    assert "print(x)" in edits[0]["newText"], edits
    change(5, {"text": "x = (1,\n"})
    assert server.request("textDocument/formatting", {"textDocument": {"uri": URI}, "options": {}})["result"] is None
    server.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    server.notifications.clear()
    error = server.request("textDocument/hover", {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 0}})["error"]
    assert error["code"] == -32602, error
    assert server.request("shutdown", None)["result"] is None
    assert server.request("textDocument/hover", {})["error"]["code"] == -32600
    server.notify("exit", None)
    assert server.process.wait(20) == 0
    server.close()


def who_comes_before_and_goes_without(gradus):
    server = Server(gradus, initialized=False)
    assert server.request("textDocument/hover", {})["error"]["code"] == -32002
    server.request("initialize", {})
    assert server.request("initialize", {})["error"]["code"] == -32600
    assert server.close() == 1
    server = Server(gradus)
    server.notify("exit", None)
    assert server.process.wait(20) == 1
    server.close()


def broken_messages(gradus):
    server = Server(gradus)
    assert server.request("gradus/nothing", {})["error"]["code"] == -32601
    server.notify("gradus/nothing", {})
    server.notify("$/cancelRequest", {"id": 1})

    def refused(data, code):
        server.write(data)
        error = server.receive()
        assert error.get("error", {}).get("code") == code, (data[:60], error)

    def framed(body):
        return b"Content-Length: %d\r\n\r\n" % len(body) + body
    refused(framed(b"{nonsense"), -32700)
    refused(framed(b""), -32700)
    refused(framed(b"[]"), -32700)
    refused(framed(b"\xff\xfe"), -32700)
    refused(framed(b"[" * 100000), -32700)
    refused(framed(b'{"a":' * 50000), -32700)
    refused(framed(b'{"jsonrpc":"2.0","id":7}'), -32600)
    refused(b"Content-Type: nothing\r\n\r\n", -32700)
    refused(b"Content-Length: minus\r\n", -32700)
    server.write(b"\r\n")
    server.receive()
    refused(b"no header at all\r\n", -32700)
    refused(b"Content-Length: 100000000\r\n\r\n" + b" " * 100000000, -32700)
    for parameters in (None, 7, [], {"textDocument": 3}, {"textDocument": {"uri": URI}}, {"textDocument": {"uri": "none"}},
                       {"position": {"line": -1, "character": 1e30}}):
        for method in ("hover", "completion", "definition", "formatting"):
            assert "error" in server.request(f"textDocument/{method}", parameters), (method, parameters)
        for method in ("didOpen", "didChange", "didClose"):
            server.notify(f"textDocument/{method}", parameters)
    server.notifications.clear()
    server.open("x = 1\n")
    for line, character in ((0, 900), (900, 0), (2**40, 2**40)):
        server.at("textDocument/hover", line, character)
    server.notify("textDocument/didChange", {"textDocument": {"uri": URI}, "contentChanges": [
        {"range": {"start": {"line": 5, "character": 9}, "end": {"line": 0, "character": 0}}, "text": "y = 2\n"},
        {"range": {}, "text": "z"}, {"text": 7}, 3]})
    assert "y = 2" in server.hover(1, 0), server.hover(1, 0)
    # In pieces.
    body = json.dumps({"jsonrpc": "2.0", "id": 99, "method": "shutdown"}).encode()
    for byte in framed(body):
        server.write(bytes([byte]))
    assert server.answer(99)["result"] is None
    server.close()


def every_offset(gradus):
    """Hover and completion at many places of scripts, whole and cut off."""
    chance = random.Random(1)
    scripts = sorted(glob.glob(os.path.join(ROOT, "Tests/Golden/*/*.nn")) + glob.glob(os.path.join(ROOT, "scripts/*/*.nn")))
    server = Server(gradus)
    for path in chance.sample(scripts, 12):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for part in (text, text[:chance.randrange(len(text))]):
            uri = "file://" + path
            server.open(part, uri)
            lines = part.split("\n")
            for _ in range(60):
                line = chance.randrange(len(lines))
                character = chance.randrange(len(lines[line].encode("utf-16-le")) // 2 + 1)
                for method in ("hover", "completion", "definition"):
                    server.at(f"textDocument/{method}", line, character, uri)
            server.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert server.request("shutdown", None)["result"] is None
    server.close()


def typing(gradus):
    """A long session neither grows without bound nor lags."""
    server = Server(gradus)
    server.open(PROGRAM)

    def resident():
        with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096
    for version in range(2, 122):
        server.notify("textDocument/didChange", {
            "textDocument": {"uri": URI, "version": version}, "contentChanges": [{"text": PROGRAM + f"w{version} = 1\n"}]})
        server.diagnostics()
        if version == 21:
            before = resident()
    assert resident() - before < 64 << 20, f"it grew by {(resident() - before) >> 20} MiB"
    start = time.monotonic()
    for _ in range(20):
        server.labels(10, 2)
    assert (time.monotonic() - start) / 20 < 0.05
    server.close()


sys.exit(run(
    (a_session, who_comes_before_and_goes_without, broken_messages, every_offset, typing), sys.argv[1]))
