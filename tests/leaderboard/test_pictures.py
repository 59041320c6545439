"""The committed commands that make the pictures of README and of the site."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import findna_bench as fb
from findna_bench.results.schema import Result
from findna_bench.results.store import ResultStore

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_pictures.py"


def test_pictures_are_made_from_a_results_folder_and_stay_small(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("needs chromium (Debian: apt install chromium)")
    store = ResultStore(tmp_path / "results")
    for model, value, size in (("small", 0.7, 1000), ("large", 0.8, 10**6), ("kmer", 0.75, None)):
        store.write(
            Result.model_validate(
                {
                    "identity": model, "request_id": model, "config_id": model, "status": "success", "protocol_version": 1,
                    "model": {"name": model, "kind": "encoder", "n_parameters": size},
                    "task": {"suite": "demo", "name": "species4", "labels": ["a", "b"], "counts": {"test": {"a": 6, "b": 4}}},
                    "protocol": {"name": "probe"}, "metrics": {"main": {"name": "accuracy", "value": value}},
                    "created": "2026-01-01T00:00:00+00:00",
                }
            )
        )  # fmt: skip
    into = tmp_path / "images"
    command = [sys.executable, str(SCRIPT), str(store.root), "--into", str(into), "--width", "900", "--height", "700"]
    subprocess.run(command, check=True, timeout=300)
    assert image.open(into / "leaderboard.png").size == (900, 700)
    # The best cell of the heat map: green at 45 % on white, drawn by the page's script.
    colours = image.open(into / "leaderboard.png").convert("RGB").getcolors(1 << 20)
    green = (153, 197, 178)
    assert sum(n for n, c in colours if max(abs(x - y) for x, y in zip(c, green, strict=True)) < 8) > 500
    assert {path.name for path in into.iterdir()} == {"leaderboard.png", "pareto.png"}
    assert all(path.stat().st_size < 250_000 for path in into.iterdir())
    missing = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / "nowhere")], capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr.count("\n") == 1
    assert "does not exist" in missing.stderr


def test_scores_are_drawn_as_svg(tmp_path: Path) -> None:
    """A dot at the value and a bar over the interval of every model, the same bytes again, and names as text."""
    fb.run(["kmer", "trivial", "findna-tiny@random"], ["demo/species4"], seeds=1, limit=80, output_dir=tmp_path / "r")
    for name in ("one.svg", "two.svg"):
        command = [
            sys.executable,
            str(SCRIPT.with_name("draw_scores.py")),
            str(tmp_path / "r"),
            "--to",
            str(tmp_path / name),
        ]
        subprocess.run(command, check=True, timeout=300)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    picture = ElementTree.parse(tmp_path / "one.svg").getroot()
    drawn = {tag: picture.findall(f"{{http://www.w3.org/2000/svg}}{tag}") for tag in ("circle", "line", "text")}
    words = [text.text for text in drawn["text"]]
    assert {"kmer (control)", "trivial (control)", "findna-tiny@random", "species4"} <= set(words)
    bars = [line for line in drawn["line"] if line.get("class") in ("model", "control")]
    assert len(drawn["circle"]) == len(bars) == 3
    titles = [dot.findtext("{http://www.w3.org/2000/svg}title") or "" for dot in drawn["circle"]]
    assert all(re.fullmatch(r"[\w@-]+, species4: \d+\.\d\d \[\d+\.\d, \d+\.\d\]", title) for title in titles)
    for dot, bar in zip(drawn["circle"], bars, strict=True):
        assert float(bar.get("x1", "")) < float(dot.get("cx", "")) < float(bar.get("x2", ""))
    (best,) = [line for line in drawn["line"] if line.get("class") == "best"]
    assert best.get("x1") in {dot.get("cx") for dot in drawn["circle"] if dot.get("class") == "control"}
