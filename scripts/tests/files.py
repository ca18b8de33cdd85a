#!/usr/bin/env python3
"""Scripts as files: `doc`, `export` to notebooks, pages and Markdown and back, `watch`, completions of shells.

    scripts/tests/files.py PATH-TO-GRADUS

Notebooks are checked with nbformat; without it that is skipped with a word. The last line counts.
"""

import glob
import html.parser
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import checks

try:
    import nbformat
except ImportError as problem:
    nbformat = None
    print(f"skip: notebooks are not held against their format here: {problem}", flush=True)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GRADUS = os.path.abspath(sys.argv[1])


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r}\n  is not\n{expected!r}")


def gradus(*arguments, text=None, folder=None, code=0):
    """Runs the program; returns what it wrote, and what it said about it."""
    done = subprocess.run(
        [GRADUS, *arguments], input=text, capture_output=True, text=True, cwd=folder, timeout=300)
    if done.returncode != code:
        raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout, done.stderr


def doc(text, code=0):
    return gradus("doc", "-", text=text, code=code)


def scripts():
    for folder in ("Tests/Golden", "scripts", "stdlib"):
        yield from sorted(glob.glob(f"{ROOT}/{folder}/**/*.nn", recursive=True))


# MARK: doc

def doc_fills_all_three_kinds_of_lines(folder):
    text = "1 + 1\n[1][4]\n#! error[index-out-of-range]\n7\n#~ 8\n#~ 9\nprint(\"a\\n\\nb\")\n"
    filled = "1 + 1\n#> 2\n[1][4]\n#! error[index-out-of-range]\n7\n#~ 7\nprint(\"a\\n\\nb\")\n#> a\n#>\n#> b\n"
    equal(doc(text), (filled, ""))
    equal(doc(filled), (filled, ""))


def doc_leaves_what_agrees_as_it_is_written(folder):
    text = "1 / 3\n#> 0.33\nfor i in 1...9 { print(i) }\n#> 1\n#> ...\n#> 9\n"
    equal(doc(text), (text, ""))
    equal(doc("2 / 3\n#> 0.33\n")[0], "2 / 3\n#> 0.6666666666666666\n")


def doc_stops_where_the_script_stops(folder):
    out, err = doc("1\n[1][4]\n2\n#> 3\n", code=1)
    equal(out, "1\n#> 1\n[1][4]\n#! error[index-out-of-range]: index 4 is out of range for a list of 1\n2\n#> 3\n")
    assert "error[index-out-of-range]" in err and "2 | [1][4]" in err, err
    out, err = doc("1\nnope(2)\n", code=1)
    equal(out, "")
    assert "error[unknown-name]" in err, err


def doc_shows_warnings_so_that_a_test_passes(folder):
    text = "step f(x) { x * 2 }\nfor i in 1...9 { f(zeros([i])) }\n"
    path = os.path.join(folder, "warns.nn")
    with open(path, "w") as file:
        file.write(doc(text)[0])
    assert "#! note[" in open(path).read() or "#! warning[" in open(path).read(), open(path).read()
    gradus("test", path)


def doc_takes_inputs_of_the_header_and_of_the_command_line(folder):
    path = os.path.join(folder, "inputs.nn")
    with open(path, "w") as file:
        file.write("# inputs: epochs=1\ninput epochs = 5\nepochs\n#> 1\n")
    equal(gradus("doc", path)[0].splitlines()[-1], "#> 1")
    equal(gradus("doc", path, "--", "epochs=3")[0].splitlines()[-1], "#> 3")
    assert "unknown-input" in gradus("doc", path, "--", "epoch=3", code=1)[1]


def doc_keeps_line_ends_of_other_systems(folder):
    done = subprocess.run([GRADUS, "doc", "-"], input=b"1\r\n2\r\n", capture_output=True)
    equal(done.stdout, b"1\r\n#> 1\r\n2\r\n#> 2\r\n")


# MARK: notebooks

LESSON = """\
# Before any cell.
x = 1

# %% [markdown]
# # A title
#
# Prose with `code`.

# %% Train it
x + 1
#> 2
print("said")
#> said
timeline
#~ anything
[1][4]
#! error[index-out-of-range]
m = (a: [1, 2])
m

# %%
# a remark
x
#> 1
"""

DRAWN = """\
# %% [markdown]
# Memory
# %%
net = MLP([2, 4, 1])
opt = sgd(lr: 0.1)
step train(x) { loss = mean(net(x)^2)
  minimize(loss, net, opt)
  loss }
timeline(train, ones([2, 2]))
memory(train, ones([2, 2]))
warned = 5
warned
"""


def notebook(folder, text, *options, code=0):
    path = os.path.join(folder, "lesson.nn")
    with open(path, "w", newline="") as file:
        file.write(text)
    written = os.path.join(folder, "lesson.ipynb")
    gradus("export", path, "-o", written, *options, code=code)
    with open(written) as file:
        return json.load(file), written


def back(path):
    return gradus("export", path, "--to", "nn")[0]


def valid(notebook):
    if nbformat:
        nbformat.validate(nbformat.from_dict(notebook))


def cells_of_a_notebook_are_those_of_the_script(folder):
    made, path = notebook(folder, LESSON)
    valid(made)
    equal((made["nbformat"], made["nbformat_minor"]), (4, 5))
    equal([cell["cell_type"] for cell in made["cells"]], ["code", "markdown", "markdown", "code", "code"])
    equal([cell["id"] for cell in made["cells"]], ["before-any-cell", "a-title", "title-train-it", "train-it", "a-remark"])
    equal("".join(made["cells"][1]["source"]), "# A title\n\nProse with `code`.")
    equal("".join(made["cells"][2]["source"]), "## Train it")
    code = made["cells"][3]
    equal("".join(code["source"]), 'x + 1\nprint("said")\ntimeline\n[1][4]\nm = (a: [1, 2])\nm')
    kinds = [output["output_type"] for output in code["outputs"]]
    equal(kinds, ["display_data", "stream", "display_data", "error", "execute_result"])
    equal(code["outputs"][3]["ename"], "index-out-of-range")
    assert "lesson.nn:16" in "\n".join(code["outputs"][3]["traceback"]), code["outputs"][3]
    equal(code["outputs"][4]["data"]["text/plain"], ["(a: [1, 2])"])
    equal(back(path), LESSON)


def drawings_and_tables_come_along(folder):
    made, _ = notebook(folder, DRAWN)
    valid(made)
    data = [output["data"] for output in made["cells"][1]["outputs"]]
    equal([sorted(each) for each in data], [
        ["image/svg+xml", "text/plain"], ["text/html", "text/plain"], ["text/plain"]])
    again, _ = notebook(folder, DRAWN)
    equal(again, made)


def a_notebook_can_be_made_without_running(folder):
    made, path = notebook(folder, LESSON.replace("#> 2", "#> 99"), "--no-run")
    valid(made)
    equal("".join(made["cells"][3]["outputs"][0]["text"]), "99\nsaid\nanything\n")
    equal(back(path), LESSON.replace("#> 2", "#> 99"))


def scripts_survive_a_notebook_byte_for_byte(folder):
    written = os.path.join(folder, "all.ipynb")
    count = 0
    for path in scripts():
        gradus("export", path, "--no-run", "-o", written)
        text = open(written).read()
        valid(json.loads(text))
        if nbformat:
            # As nbformat itself would write it.
            equal(text, nbformat.writes(nbformat.reads(text, as_version=4)) + "\n")
        with open(path) as file:
            if back(written) != file.read():
                raise AssertionError(f"{path} does not come back")
        count += 1
    assert count > 70, count


def odd_scripts_survive_too(folder):
    for text in [
        "", "\n", "1", "# %%", "# %% [markdown]", "# %%\n\n\n# %%\n1\n\n\n\n# %% [markdown]\n#no space\n#\n\n# x\n1\n",
        "#> no entry\n1\n#> 1\n\n#> 2\n#! a\n#> 3\n", "#%% close\n1\n#%%  [markdown]   far\n# p\n#> 1\n2\n",
        "f = fn(x) {\n# %% inside\n  x\n}\nf(1)\n#> 1\n\n\n", "# %% `a` *b*\n# %% twice\n# %% twice\n1\n2\n#> 2\n1\n#> 1\n",
        'print("é 😀 \\u{0}")\n#> é 😀\n', "# %% [markdown] titled\n# prose\n\n1\n\n# %% [markdown]\n# more\n",
    ]:
        made, path = notebook(folder, text, "--no-run")
        valid(made)
        expected = text if text.endswith("\n") or not text else text + "\n"
        equal(back(path), expected)


def expectations_follow_the_code_they_belong_to(folder):
    made, path = notebook(folder, "# %% One\na = 1\na\n#> 1\nb = 2\nb\n#> 2\nb\n#> 2\n")
    cell = made["cells"][1]
    equal("".join(cell["source"]), "a = 1\na\nb = 2\nb\nb")
    cell["source"] = "a = 1\nnew = 5\na\nb\nb"
    made["cells"][0]["source"] = "## Another title"
    made["cells"].append({
        "cell_type": "code", "id": "x", "metadata": {}, "execution_count": 3, "source": "3 * 3",
        "outputs": [{"output_type": "execute_result", "execution_count": 3, "metadata": {}, "data": {"text/plain": "9"}}]})
    made["cells"].append({
        "cell_type": "code", "id": "y", "metadata": {}, "execution_count": 4, "source": ["c = 1\n", "c"],
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}]})
    made["cells"].append({"cell_type": "code", "id": "z", "metadata": {}, "source": "?adamw", "outputs": []})
    made["cells"].append({"cell_type": "markdown", "id": "m", "metadata": {}, "source": ["Some\n", "\n", "prose"]})
    with open(path, "w") as file:
        json.dump(made, file)
    equal(back(path), """\
# %% Another title
a = 1
new = 5
a
#> 1
b
#> 2
b
#> 2

# %%
3 * 3
#> 9

# %%
c = 1
c
#~ 1

# %%
# ?adamw

# %% [markdown]
# Some
#
# prose
""")


def what_is_no_notebook_is_said_to_be_none(folder):
    path = os.path.join(folder, "other.ipynb")
    for text, words in [
        ("", "no notebook"), ("{}", "no notebook"), ("[1]", "no notebook"), ('{"cells": 3}', "no notebook"),
        ('{"cells": [], "metadata": {"language_info": {"name": "python"}}}', "language is python"),
        ("[" * 100000, "no notebook"),
    ]:
        with open(path, "w") as file:
            file.write(text)
        out, err = gradus("export", path, "--to", "nn", code=1)
        equal(out, "")
        assert words in err and "Traceback" not in err, err
    odd = {"cells": [1, {}, {"cell_type": "code", "source": [3, None], "metadata": {"gradus": {"expectations": [
        {"line": 10 ** 30, "after": "x", "lines": ["exit(3)"]}], "marker": "exit(3)", "blankLines": -5}}, "outputs": [{}]}]}
    with open(path, "w") as file:
        json.dump(odd, file)
    assert "exit" not in back(path), back(path)


def export_says_what_it_needs(folder):
    path = os.path.join(folder, "needs.nn")
    with open(path, "w") as file:
        file.write("1\n")
    assert "--to ipynb" in gradus("export", path, code=2)[1]
    assert "--to ipynb" in gradus("export", path, "-o", "x.doc", code=2)[1]
    gradus("export", path, "--to", "pdf", code=2)
    gradus("export", path + "x", "--to", "md", code=2)
    gradus("export", path, "-o", os.path.join(folder, "no", "such.md"), code=1)


# MARK: pages

class Page(html.parser.HTMLParser):
    """Tags of a page; each must be closed in its turn."""
    OPEN = {"meta", "hr", "br", "link", "input", "img"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], set(), [], []
        self.feed(text)
        self.close()
        equal(self.open, [])

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if tag not in self.OPEN:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        equal(self.open.pop(), tag)

    def handle_data(self, data):
        self.words.append(data)


def page(folder, text, *options, code=0):
    path = os.path.join(folder, "page.nn")
    with open(path, "w") as file:
        file.write(text)
    return gradus("export", path, "--to", "html", *options, code=code)[0]


def pages_escape_everything(folder):
    evil = "<script>alert(1)</script>\"'&<b>"
    quoted = evil.replace('"', '\\"')
    text = page(folder, f"""\
# %% [markdown]
# # Title {evil}
#
# - *item* {evil} `{evil}` [link](javascript:alert(1)) [ok](https://example.org/"onload="x) <img src=x onerror=y>
#
# | {evil} |
# |---|
# | {evil} |
#
#     {evil}

# %% {evil}
# {evil}
print("{quoted}")
x = "{quoted}"
x
(name: x)
{{"}}}}": 1}}
""".replace('{"}}": 1}\n', ""))
    made = Page(text)
    equal(made.tags & {"script", "b", "img", "iframe", "object", "link"}, set())
    assert "<script>alert(1)</script>\"'&<b>" in "".join(made.words)
    for name, value in made.attributes:
        assert not name.startswith("on"), (name, value)
        assert "javascript:" not in (value or ""), value


def pages_need_nothing_else(folder):
    text = page(folder, DRAWN)
    made = Page(text)
    for name, value in made.attributes:
        if name in ("src", "srcset", "xlink:href"):
            raise AssertionError((name, value))
        if name == "href":
            assert value.startswith(("#", "data:text/plain")), value
    assert "@import" not in text and "url(" not in text
    assert {"svg", "table"} <= made.tags, made.tags
    assert "prefers-color-scheme: dark" in text and "@media print" in text and 'name="viewport"' in text


def names_tell_what_they_hold_at_their_place(folder):
    text = page(folder, """\
x = ones([2, 3])
x = x @ ones([3, 4])
fn f(x) = x + 1
f(x)
net = MLP([2, 4, 1])
""")
    def about(name):
        return re.findall(rf'data-about="([^"]*)">{name}<', text)
    equal(about("x"), ["x: f32[2, 3], 24 B", "x: f32[2, 4], 32 B", "x: f32[2, 3], 24 B", "x: f32[2, 4], 32 B"])
    assert about("ones")[0].startswith("ones(shape"), about("ones")
    assert about("net")[0].startswith("net: MLP"), about("net")


def a_page_shows_what_came_before_an_error(folder):
    text = page(folder, "1 + 1\n[1][4]\n3 * 37\n", code=1)
    assert "error[index-out-of-range]" in text and "<samp>2</samp>" in text and "111" not in text
    # Where the file lies is not told.
    assert folder not in text


def all_scripts_become_sound_pages(folder):
    for path in scripts():
        Page(gradus("export", path, "--no-run", "--to", "html")[0])


def markdown_fences_hold(folder):
    path = os.path.join(folder, "fence.nn")
    with open(path, "w") as file:
        file.write('# %% [markdown]\n# # Title\n#\n# Words.\n\n# %% Part\nprint("````")\n#> no\n')
    equal(gradus("export", path, "--to", "md")[0],
          '# Title\n\nWords.\n\n## Part\n\n`````nn\nprint("````")\n`````\n\n`````text\n````\n`````\n')


# MARK: watch

NET = """\
# %% Data
a = normal([600, 600])
net = MLP([600, 64, 10])
y = randint(0, 10, [600])
opt = adamw(lr: 1e-2)
step train(x, y) {{
  loss = cross_entropy(net(x), y)
  minimize(loss, net, opt)
  loss
}}
print("{0}")

# %% Train
for i in 1...60 {{ train(a, y) }}
b = a @ a
print("trained")

# %% Look
train(a, y)
sum(abs(b @ a))
normal([2])
print("{1}")
"""


class Watch:
    """A watched script and what is said about it."""

    def __init__(self, folder, text, *arguments, **environment):
        self.path = os.path.join(folder, "watched.nn")
        self.out, self.err = [], []
        self.write(text)
        self.process = subprocess.Popen(
            [GRADUS, "watch", "watched.nn", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=dict(os.environ, **environment), start_new_session=True)
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            threading.Thread(target=lambda s=stream, l=lines: [l.append(line) for line in s], daemon=True).start()

    def write(self, text):
        """Replaces the file as editors do."""
        with open(self.path + "~", "w") as file:
            file.write(text)
        os.rename(self.path + "~", self.path)

    def until(self, lines, mark, seconds=60):
        """Waits for a line with `mark`; returns the lines up to it and forgets them."""
        end = time.time() + seconds
        while time.time() < end:
            for index, line in enumerate(list(lines)):
                if mark in line:
                    found = lines[:index + 1]
                    del lines[:index + 1]
                    return "".join(found)
            time.sleep(0.02)
        raise AssertionError(f"no `{mark}` in {lines}; {self.err}")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(10)
        for _ in range(100):
            if not running_in(self.process.pid):
                return code
            time.sleep(0.05)
        raise AssertionError(f"{running_in(self.process.pid)} still run")


def running_in(group):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = open(path).read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(path)
    return found


def batch(folder, text):
    path = os.path.join(folder, "batch.nn")
    with open(path, "w") as file:
        file.write(text)
    return gradus(path)[0]


def watch_goes_on_from_the_state_before_the_changed_cell(folder):
    whole = batch(folder, NET.format("one", "end"))
    watched = Watch(folder, NET.format("one", "end"))
    equal(watched.until(watched.out, "end"), whole)
    equal(watched.until(watched.err, "──").count("from line"), 0)
    # Only the last cell runs again, twice, with the same training behind it and the same random numbers ahead.
    for word in ("more", "again"):
        watched.write(NET.format("one", word))
        equal(watched.until(watched.out, word), batch(folder, NET.format("one", word)).split("trained\n")[1])
        assert "from line 19" in watched.until(watched.err, "──")
    # A remark runs nothing, and moves lines.
    watched.write("# A remark.\n" + NET.format("one", "again"))
    watched.until(watched.err, "no statement has changed")
    watched.write("# A remark.\n" + NET.format("one", "again") + "\n# %% New\nb.shape\nprint(\"new\")\n")
    equal(watched.until(watched.out, "new"), "[600, 600]\nnew\n")
    watched.write(NET.format("two", "again"))
    equal(watched.until(watched.out, "again"), batch(folder, NET.format("two", "again")))
    equal(watched.stop(), 130)


def watch_survives_mistakes_and_files_that_go(folder):
    watched = Watch(folder, 'print("one")\n1 +\n')
    watched.until(watched.err, "error[syntax]")
    watched.write('print("one")\n[1][2]\nprint("two")\n')
    watched.until(watched.err, "error[index-out-of-range]")
    equal("".join(watched.out), "one\n")
    os.remove(watched.path)
    watched.until(watched.err, "it is gone")
    watched.write('print("one")\n[1][0]\nprint("two")\n')
    watched.until(watched.out, "two")
    # In place, as some editors write.
    with open(watched.path, "w") as file:
        file.write('print("one")\nprint("three")\n')
    watched.until(watched.out, "three")
    equal(watched.stop(), 130)


def watch_leaves_a_run_that_has_become_useless(folder):
    watched = Watch(folder, 'print("one")\nwhile true { x = 1 }\n')
    watched.until(watched.out, "one")
    watched.write('print("one")\nwhile false { x = 1 }\nprint("two")\n')
    watched.until(watched.out, "two", 10)
    # Ctrl-C in the middle of a run.
    watched.write('print("three")\nwhile true { x = 1 }\n')
    watched.until(watched.out, "three")
    equal(watched.stop(), 130)


def watch_looks_at_used_files_and_takes_inputs(folder):
    with open(os.path.join(folder, "part.nn"), "w") as file:
        file.write("fn part() = 1\n")
    text = 'input n = 1\nprint("n {n}")\nuse "part.nn"\nprint("part {part()} {n}")\n'
    watched = Watch(folder, text, "--", "n=4")
    watched.until(watched.out, "part 1 4")
    with open(os.path.join(folder, "part.nn"), "w") as file:
        file.write("fn part() = 22\n")
    equal(watched.until(watched.out, "part 22 4"), "part 22 4\n")
    equal(watched.stop(), 130)


def watch_leaves_nothing_behind_when_it_is_killed(folder):
    watched = Watch(folder, NET.format("one", "end"))
    watched.until(watched.out, "end")
    time.sleep(0.3)
    assert len(running_in(watched.process.pid)) > 1
    watched.process.kill()
    watched.process.wait()
    for _ in range(100):
        if not running_in(watched.process.pid):
            return
        time.sleep(0.05)
    raise AssertionError("copies wait for nobody")


# MARK: completions

def fmt_lays_out_and_says_what_it_would(folder):
    path = os.path.join(folder, "a.nn")
    with open(path, "w") as file:
        file.write("x=1   # one\nfn f(a)=a+x\nf( 2 )\n#> 3\n")
    gradus("fmt", "--check", path, code=1)
    gradus("fmt", path)
    with open(path) as file:
        laid_out = file.read()
    equal(laid_out, "x = 1  # one\nfn f(a) = a + x\nf(2)\n#> 3\n")
    gradus("fmt", "--check", folder)
    equal(gradus("fmt", "-", text="y=2\n")[0], "y = 2\n")
    with open(path, "w") as file:
        file.write("x = (\n")
    gradus("fmt", path, code=1)
    with open(path) as file:
        equal(file.read(), "x = (\n")


def bash_completes(folder):
    names = os.path.join(folder, "completed")
    os.makedirs(os.path.join(names, "sub"))
    for name in ("a.nn", "b.txt", "n.ipynb"):
        with open(os.path.join(names, name), "w") as file:
            file.write("input epochs = 5\n")
    program = """
source <(gradus --generate-completion-script bash)
shopt -s extglob
complete_line() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
  _gradus gradus "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
  echo "${COMPREPLY[*]}"
}
complete_line gradus w; complete_line gradus a; complete_line gradus h; complete_line gradus help adamw; complete_line gradus explain shape-m
complete_line gradus export ""; complete_line gradus export a.nn --to ""; complete_line gradus doc a.nn e; complete_line gradus test --bl
"""
    bin = os.path.join(folder, "bin")
    os.makedirs(bin)
    os.symlink(GRADUS, os.path.join(bin, "gradus"))
    done = subprocess.run(
        ["bash", "--norc", "-c", program], cwd=names, capture_output=True, text=True,
        env=dict(os.environ, PATH=bin + os.pathsep + os.environ["PATH"]))
    equal(done.stderr, "")
    equal(done.stdout.splitlines(), [
        "watch", "a.nn", "help", "adamw", "shape-mismatch", "n.ipynb a.nn sub", "ipynb html md nn", "epochs=",
        "--bless --bless-all"])


def main():
    with tempfile.TemporaryDirectory() as folder:
        return checks.run([
            doc_fills_all_three_kinds_of_lines, doc_leaves_what_agrees_as_it_is_written,
            doc_stops_where_the_script_stops, doc_shows_warnings_so_that_a_test_passes,
            doc_takes_inputs_of_the_header_and_of_the_command_line, doc_keeps_line_ends_of_other_systems,
            cells_of_a_notebook_are_those_of_the_script, drawings_and_tables_come_along,
            a_notebook_can_be_made_without_running, scripts_survive_a_notebook_byte_for_byte, odd_scripts_survive_too,
            expectations_follow_the_code_they_belong_to, what_is_no_notebook_is_said_to_be_none,
            export_says_what_it_needs, pages_escape_everything, pages_need_nothing_else,
            names_tell_what_they_hold_at_their_place, a_page_shows_what_came_before_an_error,
            all_scripts_become_sound_pages, markdown_fences_hold,
            watch_goes_on_from_the_state_before_the_changed_cell, watch_survives_mistakes_and_files_that_go,
            watch_leaves_a_run_that_has_become_useless, watch_looks_at_used_files_and_takes_inputs,
            watch_leaves_nothing_behind_when_it_is_killed, fmt_lays_out_and_says_what_it_would, bash_completes,
        ], folder)


if __name__ == "__main__":
    sys.exit(main())
