"""The page in a real browser: sorts, filters, shows details, plots, asks nobody for anything, reads no string as markup, and can be
used by keyboard, on a phone, in light and in dark.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from findna_bench.leaderboard.audits import Verdict
from findna_bench.leaderboard.costs import Cost, Costs
from findna_bench.leaderboard.html import html_files, render_html
from findna_bench.leaderboard.markdown import render_markdown
from findna_bench.leaderboard.published import Figure, Paper
from findna_bench.leaderboard.table_building import leaderboard
from findna_bench.results.schema import Result
from findna_bench.results.store import ScoredRows

HOSTILE = '<img src=x onerror="window.owned=1"></script ><script>window.owned=1</script>'


def result(model: str, value: float, *, seed: int = 0, task: str = "species4", parameters: int | None = 1000) -> Result:
    """A success as the matrix writes it, with the given numbers."""
    return Result.model_validate(
        {
            "identity": f"{model}{task}{seed}",
            "request_id": f"{model}{task}{seed}",
            "config_id": model,
            "status": "success",
            "flags": ["untrained"] if "random" in model else [],
            "command": "findna-bench run",
            "protocol_version": 1,
            "model": {"name": model, "kind": "encoder", "n_parameters": parameters},
            "task": {
                "suite": "demo",
                "name": task,
                "labels": ["a", "b"],
                "data_digest": "d",
                "counts": {"test": {"a": 60, "b": 40}},
            },
            "seed": seed,
            "validation": {"metrics": {"accuracy": value}},
            "n_effective_seeds": 2,
            "protocol": {"name": "probe", "settings": {"seed_varies": ["validation draw"]}},
            "metrics": {
                "main": {"name": "accuracy", "value": value},
                "all": {"accuracy": value},
                "intervals": {"accuracy": [value - 0.05, value + 0.05]},
            },
            "created": "2026-01-01T00:00:00+00:00",
        }
    )


@pytest.fixture(scope="module")
def results() -> list[Result]:
    rows = [
        result(model, value + 0.01 * seed, seed=seed, parameters=parameters)
        for model, value, parameters in (
            ("small", 0.7, 1_000),
            ("large", 0.9, 900_000),
            ("x@random", 0.5, 1_000),
            (HOSTILE, 0.6, None),
            ("kmer", 0.8, None),
        )
        for seed in (0, 1)
    ]
    return rows


COSTS = Costs(
    f"train {HOSTILE}",
    {"small": Cost(50.0, 2e6, 2**30), "x": Cost(50.0, 2e6, 2**30), "large": Cost(900.0, None, 2**33)},
)
AUDITS = {"demo/species4": (Verdict("leak", "sequences", f"Rows are found again. {HOSTILE}"),)}
PAPER = Paper(
    key="paper",
    title=HOSTILE,
    source="arXiv:1",
    table_abouts={"1": HOSTILE},
    figures=(
        Figure(
            paper="paper", table="1", label=HOSTILE, model="", column="demo/species4", task="demo/species4", metric="accuracy",
            value="91.2", n_test=100, protocol="probe", split="official", notes=(HOSTILE,),
        ),
    ),
)  # fmt: skip


def scored_rows(result: Result) -> ScoredRows:
    """Any, so that means over seeds have intervals."""
    labels = np.arange(100) % 2
    scores = np.random.default_rng(result.seed).random((100, 2)) + np.eye(2)[labels]
    return ScoredRows(np.arange(100).astype(str), labels, scores)


@pytest.fixture
def page(browser: Any, results: list[Result], tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "index.html"
    path.write_text(
        render_html(
            leaderboard(results, predictions=scored_rows), title=HOSTILE, papers=[PAPER], audits=AUDITS, costs=COSTS
        ),
        encoding="utf-8",
    )
    browser.get_log("browser"), browser.get_log("performance")  # what earlier pages left
    browser.get(path.as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def models(page: Any) -> list[str]:
    return [e.text for e in page.find_elements("css selector", "#tables .scores tbody td:first-child")]


def texts(page: Any, selector: str) -> list[str]:
    return [e.get_attribute("textContent") for e in page.find_elements("css selector", selector)]


def press(page: Any, *keys: str) -> None:
    """Keys to whatever has the focus."""
    for key in keys:
        page.switch_to.active_element.send_keys(key)


def results_shown(page: Any) -> Any:
    """The results of the cell that was pressed, once they are unpacked."""
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
    wait(page, 60).until(lambda _: page.find_element("id", "details-json").text != "…")
    return json.loads(page.find_element("id", "details-json").text)


def filter_by(page: Any, text: str) -> None:
    box = page.find_element("id", "filter")
    box.clear()
    box.send_keys(text)


def test_rows_sort_and_filter(page: Any) -> None:
    assert models(page) == ["large", "small", HOSTILE, "x@random", "kmer (control)"]
    page.find_element("css selector", '[data-key="demo/species4"]').click()
    assert models(page)[0] == "large"
    page.find_element("css selector", '[data-key="demo/species4"]').click()
    assert models(page) == ["x@random", HOSTILE, "small", "kmer (control)", "large"]
    assert page.find_element("css selector", 'th[aria-sort="ascending"]').text.startswith("species4")
    page.find_element("css selector", '[data-key="parameters"]').click()
    assert models(page)[0] == "large"
    assert models(page)[-2:] == [HOSTILE, "kmer (control)"]  # no number of parameters: last, whichever way
    page.find_element("id", "controls").click()
    assert "kmer (control)" not in models(page)
    filter_by(page, "untrained")
    assert models(page) == ["x@random"]
    filter_by(page, "nothing")
    assert "No row matches the filter." in page.find_element("id", "tables").text


def _cells(markdown: str) -> list[tuple[str, ...]]:
    """Rows of all tables of a Markdown page, as a reader sees them."""
    rows = [line.strip("|").split(" | ") for line in markdown.splitlines() if line.startswith("| ")]
    return [tuple(_plain(cell) for cell in row) for row in rows]


def _plain(text: str) -> str:
    text = re.sub(r"</?u>|\*\*|\*?\(control\)\*?", "", text.replace("<br>", " "))
    text = re.sub(r"\\([\\`*_\[\]|#~])", r"\1", text)
    return " ".join(html.unescape(text).split())


def test_the_page_holds_what_the_markdown_page_holds(page: Any, results: list[Result]) -> None:
    """Every row of every table, every command, environment and remark: in the real page, wherever they stand there."""
    board = leaderboard(
        [r.model_copy(update={"command": f"findna-bench run {HOSTILE}"}) for r in results], predictions=scored_rows
    )
    shown = {
        "title": "t",
        "command": f"findna-bench leaderboard --title {HOSTILE}",
        "papers": [PAPER],
        "audits": AUDITS,
    }
    markdown = render_markdown(board, costs=COSTS, **shown)
    path = Path(urllib.parse.urlparse(page.current_url).path)
    path.write_text(render_html(board, costs=COSTS, **shown), encoding="utf-8")
    page.get(path.as_uri())
    there = page.execute_script(
        "for (const e of document.querySelectorAll('table small')) e.prepend(' ');"
        "return [...document.querySelectorAll('table tr')].map(r => [...r.children].map(c => c.textContent))"
    )
    rows = {tuple(" ".join(cell.replace("(control)", "").split()) for cell in row) for row in there}
    wanted = _cells(markdown)
    assert any("over kmer" in cell for row in wanted for cell in row)
    assert any(row[:2] == ("task", "metric") for row in wanted)
    assert [row for row in wanted if row not in rows] == []
    text = " ".join(page.execute_script("return document.body.textContent").split())
    for words in (
        "Gain over the best control on validation",
        shown["command"],
        f"findna-bench run {HOSTILE}",
        "This page was made by",
        "Its results were computed by",
        "What a seed changes here: validation draw.",
    ):
        assert words in text
    for line in markdown.splitlines():
        if line.startswith("* ") and "arXiv" not in line and "<code>" not in line:
            assert _plain(line[2:]).rstrip(".") in text, line
    assert page.execute_script("return window.owned") is None


def test_a_plot_shows_a_metric_in_its_own_units_and_the_way_it_points(
    browser: Any, results: list[Result], tmp_path: Path
) -> None:
    """RMSE is no percentage, and less of it is better."""
    rows = [
        r.model_copy(
            update={
                "task": r.task.model_copy(update={"target": "values", "labels": ["value"]}),
                "metrics": r.metrics.model_copy(
                    update={
                        "main": r.metrics.main.model_copy(
                            update={"name": "rmse", "value": 10 * r.metrics.main.value, "higher_is_better": False}
                        )
                    }
                ),
                "validation": {"metrics": {"rmse": 10 * r.metrics.main.value}},
            }
        )
        for r in results
    ]
    path = tmp_path / "index.html"
    path.write_text(render_html(leaderboard(rows)), encoding="utf-8")
    browser.get(path.as_uri())
    titles = texts(browser, "#pareto circle title")
    assert any(title.startswith("large: 9.05, 900 k") for title in titles), titles
    ticks = [float(text) for text in texts(browser, '#pareto svg text[text-anchor="end"]') if text[0].isdigit()]
    assert 4 <= min(ticks) < max(ticks) <= 10
    assert "(control" not in browser.find_element("css selector", "#pareto p").text
    front = browser.find_element("css selector", "#pareto path.front").get_attribute("d")
    assert front.count("V") == 0, "x@random is both cheapest and best, so nothing beats it"
    shades = browser.execute_script(
        "return [...document.querySelectorAll('#tables .scores tbody td:nth-child(3)')].map(e => [e.parentNode.firstChild.textContent, "
        "parseFloat(getComputedStyle(e).backgroundColor.split(',')[3])])"
    )
    assert max(shades, key=lambda pair: pair[1])[0] == "x@random"


def test_a_cell_shows_its_details_and_json(page: Any) -> None:
    filter_by(page, "small")
    page.find_element("css selector", "#tables .scores tbody td button").click()
    dialog = page.find_element("id", "details")
    assert dialog.is_displayed()
    assert "small on demo/species4" in dialog.text
    shown = results_shown(page)
    assert "accuracy 0.7050" in dialog.text
    assert "leak. Rows are found again." in dialog.text
    assert [(r["model"]["name"], r["seed"]) for r in shown] == [("small", 0), ("small", 1)]
    page.find_element("id", "details-close").click()
    assert not dialog.is_displayed()


def test_a_page_of_many_results_has_them_beside_it_and_says_where_they_are_missing(
    browser: Any, results: list[Result], tmp_path: Path
) -> None:
    board = leaderboard(results, predictions=scored_rows)
    made = html_files(board, most_in_one=3)
    assert sorted(made) == ["cells/0.js", "cells/1.js", "cells/2.js", "cells/3.js", "cells/4.js", "index.html"]
    assert len(html_files(board)) == 1
    for name, content in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    browser.get_log("browser")
    browser.get((tmp_path / "index.html").as_uri())
    for model in ("large", HOSTILE):
        filter_by(browser, model.lower())
        browser.find_element("css selector", "#tables .scores tbody td button").click()
        assert [(r["model"]["name"], r["seed"]) for r in results_shown(browser)] == [(model, 0), (model, 1)]
        browser.find_element("id", "details-close").click()
    assert browser.get_log("browser") == []
    shutil.rmtree(tmp_path / "cells")
    browser.get((tmp_path / "index.html").as_uri())
    browser.find_element("css selector", "#tables .scores tbody td button").click()
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
    wait(browser, 60).until(lambda _: "cells/0.js" in browser.find_element("id", "details-json").text)
    assert browser.execute_script("return window.owned") is None


@pytest.mark.long
def test_a_page_of_twenty_thousand_cells_is_small_and_usable(browser: Any, tmp_path: Path) -> None:
    """Every cell has a number of its own. What the page takes is printed in time of its main thread, which other work does not lengthen."""
    many = [
        result(f"model-{m:03}", ((37 * m + 11 * t) % 1009) / 1009, task=f"task-{t:02}")
        for m in range(200)
        for t in range(100)
    ]
    made = html_files(leaderboard(many))
    assert len(made["index.html"]) <= 5_000_000
    for name, content in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.get((tmp_path / "index.html").as_uri())
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
    wait(browser, 60).until(lambda _: len(models(browser)) == 200)
    spent = {one["name"]: one["value"] for one in browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
    print(f"page {len(made['index.html']) / 1e6:.2f} MB, main thread {spent['TaskDuration']:.2f} s")
    filter_by(browser, "model-007")
    browser.find_element("css selector", "#tables .scores tbody td button").click()
    assert [r["model"]["name"] for r in results_shown(browser)] == ["model-007"]


def test_everything_can_be_reached_and_used_by_keyboard(page: Any) -> None:
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    reached = []
    for _ in range(40):
        press(page, keys.TAB)
        element = page.switch_to.active_element
        reached.append(element.get_attribute("id") or element.get_attribute("data-key") or element.tag_name)
        assert page.execute_script("return getComputedStyle(document.activeElement).outlineStyle") != "none", reached[
            -1
        ]
        if reached[-1] == "demo/species4":
            break
    assert reached[0] == "summary"  # how to read the numbers
    assert [name for name in reached if name in ("filter", "suite", "controls", "heat")] == [
        "filter",
        "suite",
        "controls",
        "heat",
    ]
    press(page, keys.ENTER, keys.ENTER)
    assert models(page)[0] == "x@random"
    assert page.switch_to.active_element.get_attribute("data-key") == "demo/species4"  # the focus stays where it was
    press(page, *[keys.TAB] * 4)  # past mean, n and flags
    press(page, keys.SPACE)
    dialog = page.find_element("id", "details")
    assert dialog.is_displayed()
    assert "x@random on demo/species4" in dialog.text
    press(page, keys.ESCAPE)
    assert not dialog.is_displayed()
    assert page.switch_to.active_element.text == "50.50 ± 0.71"


def test_the_heat_map_is_darkest_where_the_score_is_best(page: Any) -> None:
    def shades() -> list[str]:
        return page.execute_script(
            "return [...document.querySelectorAll('#tables .scores tbody td:nth-child(3)')].map(e => getComputedStyle(e).backgroundColor)"
        )

    alphas = [float(shade.rsplit(",", 1)[1].rstrip(")")) for shade in shades()]
    assert sorted(alphas, reverse=True) == [alphas[0], alphas[4], *alphas[1:4]]  # the control, second best, stands last
    assert alphas[0] > alphas[4] > alphas[3] == 0
    page.find_element("id", "heat").click()
    assert len(set(shades())) == 1


def test_the_plot_sets_scores_against_the_chosen_cost_and_joins_the_front(page: Any) -> None:
    def drawn() -> list[str]:
        return sorted(texts(page, "#pareto circle title"))

    def corners() -> int:
        return page.find_element("css selector", "#pareto path.front").get_attribute("d").count("V")

    assert drawn() == ["large: 90.50, 900 k", "small: 70.50, 1 k", "x@random: 50.50, 1 k, untrained"]
    assert corners() == 1  # from small up to large; x@random costs as much as small and is worse
    assert len(page.find_elements("css selector", "#pareto circle.flagged")) == 1
    assert texts(page, "#pareto text.reference") == ["best control on validation: kmer"]
    page.execute_script(
        "const c = document.getElementById('cost'); c.value = 'flops_per_base'; c.dispatchEvent(new Event('change'))"
    )
    assert drawn() == ["small: 70.50, 2 MFLOP", "x@random: 50.50, 2 MFLOP, untrained"]
    page.execute_script(
        "const c = document.getElementById('cost'); c.value = 'ns_per_base'; c.dispatchEvent(new Event('change'))"
    )
    assert "large: 90.50, 900 ns" in drawn()
    filter_by(page, "untrained")
    assert drawn() == ["x@random: 50.50, 50 ns, untrained"]


def test_audits_and_published_figures_stand_on_the_page(page: Any) -> None:
    summary = page.find_element("css selector", "details.audits summary")
    assert summary.text == "What the audit says: species4 leak"
    summary.click()
    assert "Rows are found again." in page.find_element("css selector", "details.audits").text
    assert "not comparable here" in page.find_element("css selector", "#published h2").text
    page.find_element("css selector", "details.apart summary").click()
    apart = page.find_element("css selector", "details.apart").text
    assert "91.2" in apart
    assert "selection: not stated here, not stated there" in apart


def test_no_error_no_request_and_no_string_is_markup(page: Any) -> None:
    page.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")
    filter_by(page, "onerror")
    page.find_element("css selector", "#tables .scores tbody td button").click()
    assert HOSTILE in models(page)
    for selector in (
        "#title",
        "#details-title",
        "#details-json",
        "#published li",
        "#published td",
        "details.audits li",
        "#overview td",
    ):
        assert any(part in text for text in texts(page, selector) for part in (HOSTILE, json.dumps(HOSTILE))), selector
    assert page.title == HOSTILE
    assert page.execute_script("return window.owned") is None
    assert (
        page.execute_script("return document.querySelectorAll('img, script:not(#data):not(:last-of-type)').length") == 0
    )
    assert page.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)


def test_a_phone_scrolls_tables_but_not_the_page(page: Any) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    page.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.execute_script("return window.innerWidth") == 360
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    # The first column stays in sight while the rest moves under it.
    left = "return document.querySelector('#tables .scores tbody td').getBoundingClientRect().left"
    before = page.execute_script(left)
    page.execute_script("document.querySelector('#tables .scroll').scrollLeft = 120")
    assert page.execute_script("return document.querySelector('#tables .scroll').scrollLeft") == 120
    assert page.execute_script(left) == before
    page.find_element("css selector", "#tables .scores tbody td button").click()
    assert page.execute_script("return document.getElementById('details').getBoundingClientRect().width") <= 360


def test_text_can_be_read_in_light_and_in_dark(page: Any) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        for selector in ("h1", "#legend", "summary", "#tables td button", "#tables td small", "#tables thead button"):
            ink, ground = page.execute_script(CONTRAST, selector)
            assert contrast(ink, ground) >= 4.5, (scheme, selector, ink, ground)
        grounds.append(luminance(page.execute_script(CONTRAST, "h1")[1]))
    assert grounds[0] > 0.8 > 0.2 > grounds[1]


CONTRAST = """
const over = (a, b) => a.slice(0, 3).map((c, i) => c * a[3] + b[i] * (1 - a[3]));
const rgba = text => { const n = text.match(/[0-9.]+/g).map(Number); return n.length === 3 ? [...n, 1] : n; };
const e = document.querySelector(arguments[0]);
const layers = []; for (let p = e; p; p = p.parentElement) layers.unshift(rgba(getComputedStyle(p).backgroundColor));
const ground = layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
return [over(rgba(getComputedStyle(e).color), ground), ground];
"""


def luminance(colour: list[float]) -> float:
    """WCAG 2: of 0-255 sRGB."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink: list[float], ground: list[float]) -> float:
    high, low = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_pages_are_deterministic_and_mark_what_must_be_marked(results: list[Result]) -> None:
    board = leaderboard(results)
    assert render_html(board) == render_html(leaderboard(list(reversed(results))))
    text = render_markdown(board)
    assert text == render_markdown(leaderboard(list(reversed(results))))
    assert "**90.50 ± 0.71**" in text
    assert "<u>80.50 ± 0.71</u>" in text
    assert "<img" not in text
    assert "untrained" in text
    assert "validation draw" in text
