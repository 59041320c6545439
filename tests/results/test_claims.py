"""Claims: one living owner per cell, a dead one's is taken at once, a lost one is noticed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from findna_bench.results.claims import HEARTBEAT_TIMEOUT_S, Claims, _boot_id

HOLD = """
import sys, time
from pathlib import Path
from findna_bench.results.claims import Claims
claims = Claims(Path(sys.argv[1])).__enter__()
assert claims.take("cell")
print("held", flush=True)
time.sleep(60)
"""


def test_a_claim_of_a_living_process_holds_and_that_of_a_killed_one_is_taken_at_once(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with Claims(tmp_path) as claims:
            assert not claims.take("cell")
            owner.kill()
            owner.wait()
            assert claims.take("cell")
            assert claims.still_mine("cell")
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    assert not (tmp_path / ".claims" / "cell.json").exists()


def foreign(**changes: object) -> dict[str, object]:
    """A claim of a process that nobody here sees."""
    owner = {"host": "elsewhere", "boot_id": "x", "pid_namespace": "n", "pid": 1, "process_start": "1", "token": "t"}
    return owner | changes


def planted(results: Path, claim: object, *, written: float, name: str = "cell") -> Path:
    """A claim file that the file system says was written at that time."""
    folder = results / ".claims"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(claim if isinstance(claim, str) else json.dumps(claim))
    os.utime(path, (written, written))
    return path


NOW = 2_000_000_000.0


@pytest.mark.parametrize(
    "claim",
    [
        foreign(),
        foreign(host=os.uname().nodename),
        foreign(host=os.uname().nodename, boot_id=_boot_id()),
        foreign(host=os.uname().nodename, pid=2**40),
        {key: value for key, value in foreign(host=os.uname().nodename).items() if key != "pid_namespace"},
    ],
    ids=[
        "another host",
        "another machine of this name",
        "another container",
        "no such pid here",
        "of an earlier version",
    ],
)
def test_a_claim_whose_process_is_not_seen_here_lives_as_long_as_its_heart_beats(claim: object, tmp_path: Path) -> None:
    planted(tmp_path, claim, written=NOW - HEARTBEAT_TIMEOUT_S + 1)
    with Claims(tmp_path, clock=lambda _: NOW - 500) as claims:
        assert not claims.take("cell")
    with Claims(tmp_path, clock=lambda _: NOW + 2) as claims:
        assert claims.take("cell")


def test_the_clock_of_the_file_system_decides_not_that_of_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planted(tmp_path, foreign(), written=time.time())
    monkeypatch.setattr(time, "time", lambda: NOW)  # this host's clock is years ahead
    with Claims(tmp_path) as claims:
        assert not claims.take("cell")
        os.utime(path, (1, 1))
        assert claims.take("cell")


def test_after_a_restart_of_this_machine_what_ran_before_is_dead_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("findna_bench.results.claims._since_start", lambda: 200.0)
    claim = foreign(host=os.uname().nodename, boot_id="before")
    planted(tmp_path, claim, written=NOW)
    with Claims(tmp_path, clock=lambda _: NOW + 199) as claims:
        assert not claims.take("cell")
    with Claims(tmp_path, clock=lambda _: NOW + 201) as claims:
        assert claims.take("cell")


def test_a_reused_pid_is_not_taken_for_the_owner(tmp_path: Path) -> None:
    with Claims(tmp_path) as claims:
        assert claims.take("cell")
        path = tmp_path / ".claims" / "cell.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"token": "gone", "process_start": "1"}))
        assert not claims.still_mine("cell")
        assert claims.take("cell")


def test_a_process_that_cannot_be_looked_at_is_left_alone_while_its_heart_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Claims(tmp_path, clock=lambda _: NOW) as claims:
        own = {**vars(claims._owner), "pid": 1, "token": "t", "process_start": "7"}
        monkeypatch.setattr("findna_bench.results.claims._process_start", lambda pid: "")  # /proc with hidepid
        path = planted(tmp_path, own, written=NOW - HEARTBEAT_TIMEOUT_S + 1)
        assert not claims.take("cell")
        os.utime(path, (NOW - HEARTBEAT_TIMEOUT_S - 1,) * 2)
        assert claims.take("cell")


def test_an_owner_that_slept_finds_its_cell_taken_and_gives_nothing_back(tmp_path: Path) -> None:
    with Claims(tmp_path, clock=lambda _: NOW) as asleep:
        assert asleep.take("cell")
        path = planted(tmp_path, foreign(**{**vars(asleep._owner), "host": "elsewhere"}), written=NOW - 3600)
        with Claims(tmp_path, clock=lambda _: NOW) as other:
            assert other.take("cell")
            assert not asleep.still_mine("cell")
            asleep.release(["cell"])
            assert path.exists()
            assert other.still_mine("cell")


class _Hosts:
    """Two hosts on a network folder at a time of its own: each sees a file's attributes as they were up to a minute ago."""

    def __init__(self, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        self.results = results
        self._cached: dict[Path, tuple[float, os.stat_result]] = {}
        stat = Path.stat

        def delayed(path: Path, **options: bool) -> os.stat_result:
            if path.suffix != ".json":
                return stat(path, **options)
            seen, known = self._cached.get(path, (-1e9, None))
            if known is None or self.now - seen >= ATTRIBUTES_S:
                known = stat(path, **options)
                self._cached[path] = self.now, known
            return known

        monkeypatch.setattr(Path, "stat", delayed)
        self.owner, self.other = (Claims(results, clock=lambda _: self.now) for _ in range(2))
        self.owner._owner = replace(self.owner._owner, host="elsewhere")
        for claims in (self.owner, self.other):
            claims.__enter__()

    def beat(self) -> None:
        self.owner.renew()
        os.utime(self.results / ".claims" / "cell.json", (self.now, self.now))


ATTRIBUTES_S = 60.0
"""How old attributes of files on NFS are at most (acregmax)."""


def test_delayed_attributes_cost_no_living_owner_its_cell_and_a_suspended_host_loses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = _Hosts(tmp_path, monkeypatch)
    assert hosts.owner.take("cell")
    hosts.beat()
    for second in range(0, 3 * 3600, 20):  # of which a host's own clock tells nothing
        hosts.now = NOW + second
        monkeypatch.setattr(time, "time", lambda: NOW + 7200)
        if second % 60 == 0:
            hosts.beat()
        assert not hosts.other.take("cell"), second
    asleep_since, taken_after = hosts.now, None
    while taken_after is None and hosts.now < asleep_since + 3600:  # the owner's host is suspended for an hour
        hosts.now += 20
        taken_after = hosts.now - asleep_since if hosts.other.take("cell") else None
    assert taken_after is not None
    assert HEARTBEAT_TIMEOUT_S - 60 <= taken_after <= HEARTBEAT_TIMEOUT_S + ATTRIBUTES_S + 20
    hosts.now = asleep_since + 3600
    assert not hosts.owner.still_mine("cell")
    hosts.owner.renew()  # it wakes
    assert hosts.other.still_mine("cell"), "and writes over nothing"
    hosts.owner.__exit__()
    assert hosts.other.still_mine("cell")
    hosts.other.__exit__()
    assert not (tmp_path / ".claims" / "cell.json").exists()


@pytest.mark.parametrize(("age", "taken"), [(30.0, False), (90.0, True)], ids=["being written", "damaged"])
@pytest.mark.parametrize("content", ["", '{"host": "a', "[]", '{"pid": "x"}', "null"])
def test_a_claim_that_cannot_be_read_is_damaged_when_it_stays_so(
    content: str, age: float, taken: bool, tmp_path: Path
) -> None:
    planted(tmp_path, content, written=NOW - age)
    with Claims(tmp_path, clock=lambda _: NOW) as claims:
        assert claims.take("cell") is taken


@pytest.mark.parametrize("missing", ["locks", "links", "both"])
def test_a_file_system_without_locks_or_links_still_has_one_owner_per_cell(missing: str, tmp_path: Path) -> None:
    planted(tmp_path, foreign(), written=1.0)
    without = "import errno, fcntl, os\ndef none(*_): raise OSError(errno.EOPNOTSUPP, 'not supported')\n"
    without += "fcntl.flock = none\n" if missing != "links" else ""
    without += "os.link = none\n" if missing != "locks" else ""
    assert sorted(answers(tmp_path, without)) == ["False"] * 4 + ["True"]


def test_a_lock_file_of_a_killed_process_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", none)
    planted(tmp_path, foreign(), written=1.0)
    (tmp_path / ".claims" / ".locked").write_text("gone")
    os.utime(tmp_path / ".claims" / ".locked", (1, 1))
    with Claims(tmp_path) as claims:
        assert claims.take("cell")
    assert not (tmp_path / ".claims" / ".locked").exists()


def test_a_lock_file_of_a_living_process_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", none)
    planted(tmp_path, foreign(), written=1.0)
    lock = tmp_path / ".claims" / ".locked"
    lock.write_text("at work")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            lock.unlink()

    monkeypatch.setattr("findna_bench.results.claims.time.sleep", wait)
    with Claims(tmp_path) as claims:
        assert claims.take("cell")
    assert len(waits) == 3
    assert all(0 < seconds < 1 for seconds in waits)


def test_the_answer_to_a_link_that_was_made_and_asked_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def twice(source: Path, target: Path) -> None:  # NFS: the reply to the first request was lost
        link(source, target)
        raise FileExistsError

    with Claims(tmp_path) as claims:
        monkeypatch.setattr(os, "link", twice)
        assert claims.take("cell")
        assert claims.still_mine("cell")


UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
TAKES = """
import sys, time
from pathlib import Path
from findna_bench.results.claims import Claims
with Claims(Path(sys.argv[1])) as claims:
    mine = [cell for cell in range(40) if claims.take(str(cell))]
    print(len(mine), flush=True)
    for _ in range(20):  # the other looks for cells all the time
        time.sleep(0.05)
        mine += [cell for cell in range(40) if cell not in mine and claims.take(str(cell))]
    print(len(mine), all(claims.still_mine(str(cell)) for cell in mine), flush=True)
    sys.stdin.readline()
"""


def test_two_pid_namespaces_under_one_host_name_steal_nothing_from_each_other(tmp_path: Path) -> None:
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("pid namespaces cannot be made here")
    command = [*UNSHARE, sys.executable, "-c", TAKES, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children, first = [], []
    for _ in range(2):  # one after the other, or both first processes have the same pid and the same start
        children.append(subprocess.Popen(command, **pipes))  # type: ignore[call-overload]
        first.append(int(children[-1].stdout.readline()))
    second = [child.stdout.readline().split() for child in children]
    for child in children:
        child.communicate("done\n")
    assert first == [40, 0]
    assert second == [["40", "True"], ["0", "True"]]


def answers(results: Path, before: str = "") -> list[str]:
    """What five processes hear that ask for one cell at once."""
    script = before + HOLD.replace('assert claims.take("cell")', 'print(claims.take("cell"), flush=True)')
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(results)], stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    try:
        return [child.stdout.readline().strip() for child in children if child.stdout]
    finally:
        for child in children:
            child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()


def test_of_many_processes_that_find_a_dead_claim_one_gets_it(tmp_path: Path) -> None:
    planted(tmp_path, foreign(), written=1.0)
    assert sorted(answers(tmp_path)) == ["False"] * 4 + ["True"]


def test_a_claim_taken_while_another_process_looks_is_not_stolen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Claims(tmp_path) as slow, Claims(tmp_path) as quick:
        look, create = slow._state, slow._create
        tries = iter([False])  # the claim was held at the first try, and is given back now

        def look_and_dawdle(request_id: str) -> str:
            state = look(request_id)
            assert quick.take(request_id)
            return state

        monkeypatch.setattr(slow, "_state", look_and_dawdle)
        monkeypatch.setattr(slow, "_create", lambda request_id: next(tries, None) is None and create(request_id))
        assert not slow.take("cell")
        assert quick.still_mine("cell")


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    planted(tmp_path, foreign(), written=1.0, name="dead")
    planted(tmp_path, foreign(), written=time.time(), name="living")
    half = tmp_path / ".claims" / ".cell.half"
    half.write_text("{")
    os.utime(half, (0, 0))
    with Claims(tmp_path):
        assert sorted(path.name for path in half.parent.iterdir()) == ["living.json", "lock"]
