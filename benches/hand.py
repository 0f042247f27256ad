#!/usr/bin/env python3
"""Speed of the hand: wall time of what needs neither AWS nor a runtime, and of starting other tools that do the same.

    benches/hand.py [target/release/fleetwright] [repetitions]

Prints the least, the median and the largest of the repetitions, in milliseconds, after a warm-up. The goal is 20 ms.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

GOAL = 20.0
binary = sys.argv[1] if len(sys.argv) > 1 else "target/release/fleetwright"
times = int(sys.argv[2]) if len(sys.argv) > 2 else 50
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
spec = os.path.join(root, "fleet.yaml")

ours = {
    "fleetwright --version": [binary, "--version"],
    "fleetwright --help": [binary, "--help"],
    "fleetwright launch --help": [binary, "launch", "--help"],
    "fleetwright validate": [binary, "-f", spec, "validate"],
    "fleetwright -o json validate": [binary, "-f", spec, "-o", "json", "validate"],
}
others = {"/bin/true": ["/bin/true"], "python3 -c pass": ["python3", "-c", "pass"], "aws --version": ["aws", "--version"]}


def measure(command):
    """Wall milliseconds of each repetition."""
    samples = []
    for n in range(times + 3):
        begun = time.perf_counter()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took = (time.perf_counter() - begun) * 1000
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}")
        if n >= 3:
            samples.append(took)
    return samples


print(f"{'':<30} {'least':>8} {'median':>8} {'largest':>8}  ms, {times} times")
late = []
for name, command in {**ours, **others}.items():
    if not shutil.which(command[0]):
        continue
    samples = measure(command)
    middle = statistics.median(samples)
    print(f"{name:<30} {min(samples):8.1f} {middle:8.1f} {max(samples):8.1f}")
    if name in ours and middle > GOAL:
        late.append(name)
print(f"goal of {GOAL:.0f} ms: " + ("missed by " + ", ".join(late) if late else "reached"))
