"""Hostile specs and playbooks of up to 1 MiB: the binary answers quickly, in little memory, and asks nobody.

    tests/hostile.py BINARY [SECONDS [MIB]]

Prints wall time and peak memory of each file; fails when one takes more than SECONDS (1) or MIB (64), when the
exit code is not 2, when anything panics, or when a connection is made."""

import os
import random
import socket
import sys
import tempfile
import time

MIB = 1 << 20
HEAD = 'version: 1\nname: bad\naccount: "123456789012"\nregion: us-east-1\n'
FULL = HEAD + "template: {instance: i-0123456789abcdef0}\nrelease: {from: r, playbook: p.yaml}\n"
DRAW = random.Random(20261121)


def fill(line, size=MIB):
    """A spec with a line repeated up to the size; `%d` in it counts."""
    out, n = [HEAD], 0
    left = size - len(HEAD)
    while True:
        text = (line % n if "%d" in line else line) + "\n"
        left -= len(text)
        if left < 0:
            return "".join(out)
        out.append(text)
        n += 1


def bomb(leaf, width):
    lines = [HEAD, "a0: &a0 %s\n" % leaf]
    lines += ["a%d: &a%d [%s]\n" % (n, n, ", ".join(["*a%d " % (n - 1)] * width)) for n in range(1, 40)]
    return "".join(lines)


def entries(key, text):
    """A list or section under a key, as long as fits."""
    lines = fill("  " + text, MIB - 200).split("\n")[4:]
    return HEAD + key + ":\n" + "\n".join(lines)


def write(path, make):
    """Writes a file in a process of its own: a child's peak memory starts at its parent's, which must stay small."""
    pid = os.fork()
    if pid == 0:
        text = make()
        with open(path, "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
        os._exit(0)
    os.waitpid(pid, 0)


SPECS = {
    "alias bomb": lambda: bomb("x", 9),
    "alias bomb of texts": lambda: bomb('"%s"' % ("x" * 16000), 9),
    "alias bomb, wide": lambda: bomb("[x, x]", 400),
    "depth, flow lists": lambda: "[" * MIB,
    "depth, flow lists in lines": lambda: "[\n" * (MIB // 2),
    "depth, flow sections": lambda: "{a: \n" * (MIB // 5),
    "depth, dashes": lambda: "- " * (MIB // 2),
    "depth, blocks": lambda: "".join("%sa:\n" % (" " * n) for n in range(1400)),
    "depth, keys": lambda: "? " * (MIB // 2),
    "NUL": lambda: "\0" * MIB,
    "NUL at the end": lambda: HEAD + "tags: {a: b}\n" + "\0",
    "bidi": lambda: ("tags: {a: \u202ex}\n" * 50000)[: MIB // 2],
    "escapes": lambda: fill('"\\u202e%d": x'),
    "a thousand million hosts": lambda: HEAD + "fleet: {size: 1000000000}\n",
    "a number of a megabyte": lambda: HEAD + "fleet: {size: %s}\n" % ("9" * 16000),
    "many foreign hosts": lambda: entries("hosts", "- 10.0.0.%d"),
    "many wrong foreign hosts": lambda: entries("hosts", "- {adress: 10.0.0.%d}"),
    "many mounts": lambda: entries("rehearsal", "- x%d").replace("rehearsal:", "rehearsal:\n mounts:"),
    "many subnets": lambda: entries("fleet", "- x%d").replace("fleet:", "fleet:\n subnets:"),
    "many tags": lambda: entries("tags", "t%d: x"),
    "many wrong tags": lambda: entries("tags", "t;%d: x"),
    "many variables": lambda: entries("release", "v%d: x").replace("release:", "release:\n vars:"),
    "random bytes": lambda: bytes(DRAW.getrandbits(8) for _ in range(MIB)),
    "random text": lambda: "".join(DRAW.choice("-:{}[]&*!|>'\"%#@,? \n\tab01") for _ in range(MIB)),
    "one line": lambda: HEAD + "tags: {a: " + "x" * (MIB - 100) + "}\n",
    "one short of the longest line": lambda: fill("k%d: " + "x" * 16000),
    "unknown keys": lambda: fill("k%d: x"),
    "near keys": lambda: fill("fleet%d: x"),
    "the same key": lambda: fill("fleet: x"),
    "no-break spaces": lambda: fill("\u00a0x: y"),
    "anchors": lambda: fill("k%d: &a x"),
    "comments": lambda: fill("#", MIB - 100) + "x: 1\n",
    "documents": lambda: fill("---"),
    "directives": lambda: fill("%YAML 1.2"),
    "quotes": lambda: fill("'"),
    "pipes": lambda: fill("|"),
    "line ends": lambda: "\n" * MIB,
    "carriage returns": lambda: "\r" * MIB,
    "tabs": lambda: "\t" * MIB,
    "more than a megabyte": lambda: "x" * (16 * MIB),
    "UTF-16": lambda: (HEAD + "tags: {a: b}\n" * 30000).encode("utf-16"),
}
PLAYBOOKS = {
    "many steps": lambda: "- run: x\n" * (MIB // 9),
    "many variables": lambda: "vars:\n" + "".join("  v%d: x\n" % n for n in range(9000)) + 'steps: [{run: "{{ nobody }}"}]\n',
    "many names": lambda: "- run: |\n" + "".join("    {{ n%d }}\n" % n for n in range(60000)),
    "deep template": lambda: "- run: |\n" + "    {{ " + "(\n    " * 150000 + "\n",
    "deep template, lists": lambda: "- run: |\n" + "    {{ " + "[\n    " * 150000 + "\n",
    "deep template, blocks": lambda: "- run: |\n" + "    {% if x %}\n" * 60000,
    "deep template, minus": lambda: "- run: |\n" + "    {{ " + "-\n    " * 150000 + " 1 }}\n",
    "deep template, filters": lambda: "- run: |\n" + "    {{ 1 " + "|a\n    " * 120000 + " }}\n",
    "deep template, sums": lambda: "- run: |\n" + "    {{ 1 " + "+1\n    " * 120000 + " }}\n",
    "open braces": lambda: "- run: |\n" + "    {{\n" * 140000,
    "deep template, many branches": lambda: "- run: |\n    {% if a %}\n" + "    {% elif b %}\n" * 60000 + "    {% endif %}\n",
    "deep template, hidden": lambda: "- run: |\n    {% raw %}{{ '{% endraw %}{{ '}}' " + "+1\n    " * 120000 + "}}\n",
    "huge sum": lambda: '- run: "{{ 9999999999999999999999999999999999999999 * 99999999999999999999999999999999999999999 }}"\n',
}


def run(binary, arguments, environment):
    """Exit code, seconds, peak MiB and what was said of one run."""
    with tempfile.TemporaryFile() as said:
        begun = time.monotonic()
        pid = os.posix_spawn(
            binary,
            [binary] + arguments,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, said.fileno(), 1), (os.POSIX_SPAWN_DUP2, said.fileno(), 2)],
        )
        _, status, usage = os.wait4(pid, 0)
        took = time.monotonic() - begun
        said.seek(0)
        return os.waitstatus_to_exitcode(status), took, usage.ru_maxrss / 1024, said.read().decode("utf-8", "replace")


def main(binary, seconds=1.0, mib=64.0):
    bad = []
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    with tempfile.TemporaryDirectory() as folder:
        spec, playbook = os.path.join(folder, "fleet.yaml"), os.path.join(folder, "p.yaml")
        environment = {"HOME": folder, "AWS_ENDPOINT_URL": "http://127.0.0.1:%d" % server.getsockname()[1]}

        def judge(name, arguments, code=2):
            # A verb that would go to AWS at once: a bad spec must stop it before.
            exit_code, took, peak, said = run(binary, ["-f", spec] + arguments + ["status"], environment)
            faults = []
            if exit_code != code:
                faults.append("exit %d" % exit_code)
            if took > float(seconds):
                faults.append("too slow")
            if peak > float(mib):
                faults.append("too much memory")
            if "panicked" in said or "\x1b" in said or "\u202e" in said or "\0" in said:
                faults.append("said what it must not")
            if len(said) > 200000:
                faults.append("said %d bytes" % len(said))
            print("%-32s %6.3f s %6.1f MiB %7d bytes said  %s" % (name, took, peak, len(said), ", ".join(faults)))
            if faults:
                bad.append((name, said[:2000]))

        for name, make in SPECS.items():
            write(spec, make)
            judge(name, [])
        write(spec, lambda: FULL)
        for name, make in PLAYBOOKS.items():
            write(playbook, make)
            judge("playbook: " + name, [])
        for name, argument in [("deep", "tags=" + "[" * 100000), ("long", "tags=" + "x" * 100000), ("dots", "." * 100000)]:
            judge("--set: " + name, ["--set", argument])
    try:
        server.accept()
        bad.append(("all", "somebody connected to AWS's endpoint"))
    except BlockingIOError:
        pass
    for name, said in bad:
        print("\n== %s\n%s" % (name, said))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
