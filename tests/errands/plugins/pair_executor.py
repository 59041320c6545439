"""An executor in one file: two models at once, each in an interpreter of its own; and two models that only end if both run."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np

import findna_bench.api as fb

_CHILD = """
import json, sys
from dataclasses import asdict
import findna_bench.api as fb

answer, sys.stdout = sys.stdout, sys.stderr  # what models print is no answer
json.dump([asdict(settled) for settled in fb.run_job(json.load(sys.stdin))], answer)
"""


def pair(jobs, report):
    """Threads that wait for processes; the run goes on where one of them dies."""
    with ThreadPoolExecutor(2) as threads:
        running = {threads.submit(_in_a_process, job): job for job in jobs}
        for future in as_completed(running):
            done = future.result()
            if done.returncode:
                yield from fb.fail_job(
                    running[future], f"its process ended with {done.returncode}: {done.stderr[-300:]}"
                )
            else:
                yield from (fb.Settled(**values) for values in json.loads(done.stdout))


def _in_a_process(job):
    command = [sys.executable, "-c", _CHILD]
    return subprocess.run(command, input=json.dumps(job.to_json()), capture_output=True, text=True, check=False)


class WaitsForTheOther:
    """A classifier whose fit ends once the other one's has begun, and fails where it does not begin."""

    varies = ()

    def __init__(self, me, other):
        self.me, self.other = me, other
        self.settings = {}

    def fit(self, train, validation, seed, n_classes):
        folder, until = Path(os.environ["MEETING_PLACE"]), time.monotonic() + float(os.environ["PATIENCE_S"])
        (folder / self.me).touch()
        while not (folder / self.other).exists():
            if time.monotonic() > until:
                raise RuntimeError(f"{self.other} did not begin")
            time.sleep(0.01)
        self.shares = np.bincount(train.labels, minlength=n_classes) / len(train.labels)

    def predict_scores(self, table):
        return np.tile(self.shares, (len(table), 1))


@fb.hookimpl
def findna_bench_executors():
    return [fb.ExecutorCard(name="pair", factory="pair_executor:pair", summary="two models at once")]


@fb.hookimpl
def findna_bench_models():
    factory = "pair_executor:WaitsForTheOther"
    return [
        fb.ModelCard(name=me, kind="classifier", factory=factory, config={"me": me, "other": other})
        for me, other in (("castor", "pollux"), ("pollux", "castor"))
    ]
