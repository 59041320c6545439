"""The page of an audit in a real browser: it holds what the Markdown holds, zooms by button and key, shows alignments on demand, fits a
phone, asks nobody for anything and reads no string as markup.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from findna_bench.auditing import AuditReport, audit_tables
from findna_bench.auditing.audit_pages import render_report
from findna_bench.auditing.neighbours import local_alignment
from findna_bench.cards import TaskCard
from findna_bench.data.table import SequenceTable
from findna_bench.leaderboard.audit_html import render_audit_html

HOSTILE = '<img src=x onerror="window.owned=1"></script ><script>window.owned=1</script> \u202e\x1b[2J'
CARD = TaskCard(name="planted", suite="made-up", labels=("no", HOSTILE), known_shortcuts=(HOSTILE,))


@pytest.fixture(scope="module")
def report() -> AuditReport:
    """Copies of train rows, one of them with an inserted base, and a word at one place of a class."""
    generator = np.random.default_rng(0)
    rows = ["".join(generator.choice(list("ACGT"), 90)) for _ in range(400)]
    rows = [row[:10] + "GATTACA" + row[17:] if i % 2 else row for i, row in enumerate(rows)]
    train, test = rows[:200], rows[200:]
    test[:30] = train[:30]
    test[0] = train[0][:40] + "A" + train[0][40:]
    tables = {
        split: SequenceTable(
            each, np.arange(200) % 2, np.array([f"{HOSTILE}{split}{i}" for i in range(200)], dtype=object)
        )
        for split, each in (("train", train), ("test", test))
    }
    return audit_tables(tables, CARD)


@pytest.fixture
def page(browser: Any, report: AuditReport, tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "audit.html"
    path.write_text(render_audit_html(report), encoding="utf-8")
    browser.get_log("browser"), browser.get_log("performance")  # what earlier pages left
    browser.get(path.as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def _cells(markdown: str) -> list[tuple[str, ...]]:
    """Rows of all tables of a Markdown page, as a reader sees them."""
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in markdown.splitlines() if line.startswith("| ")]
    return [tuple(_plain(cell) for cell in row) for row in rows]


def _plain(text: str) -> str:
    text = re.sub(r"\\([\\`*_\[\]|#~])", r"\1", text.replace("<br>", " "))
    return " ".join(html.unescape(text).split())


def test_the_page_holds_the_numbers_of_the_markdown(page: Any, report: AuditReport) -> None:
    markdown = render_report(report.to_dict())
    there = page.execute_script(
        "return [...document.querySelectorAll('table tr')].map(r => [...r.children].map(c => c.textContent))"
    )
    rows = {tuple(" ".join(cell.split()) for cell in row) for row in there}
    wanted = _cells(markdown)
    assert {"shortcut/site", "leak/duplicates"} <= {row[0] for row in wanted}
    assert [row for row in wanted if row not in rows] == []
    text = " ".join(page.execute_script("return document.body.textContent").split())
    assert report.verdict.level in page.find_element("id", "verdict").text
    for sentence in (*report.verdict.looked_at, "copy: the same text or its reverse complement"):
        assert " ".join(sentence.split()) in text


def test_no_string_is_markup_and_nobody_is_asked(page: Any, report: AuditReport) -> None:
    for details in page.find_elements("css selector", "details > summary"):
        details.click()
    assert page.execute_script("return window.owned") is None
    assert page.find_elements("css selector", "img") == []
    assert "\u202e" not in page.page_source
    assert page.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    addresses = [a["params"]["request"]["url"] for a in asked if a["method"] == "Network.requestWillBeSent"]
    assert [a for a in addresses if not a.startswith(("file:", "data:"))] == []


def test_the_profile_zooms_by_button_and_by_key(page: Any, report: AuditReport) -> None:
    shown = page.find_element("id", "range")
    assert shown.text == "A at 1 to 20 of 60 places, %"
    page.find_element("id", "closer").click()
    assert shown.text == "A at 6 to 15 of 60 places, %"
    profile = page.find_element("id", "profile")
    profile.send_keys("-", "-")
    assert shown.text == "A at 1 to 40 of 60 places, %"
    profile.send_keys("+")
    assert shown.text == "A at 11 to 30 of 60 places, %"
    page.find_element("css selector", "#base option:nth-child(3)").click()
    header = [e.text for e in page.find_elements("css selector", "#profile-values th")]
    row = [e.text for e in page.find_elements("css selector", "#profile-values tbody tr:nth-child(2) td")]
    assert header[1:3] == ["11", "12"]
    wanted = report.positions["start"][HOSTILE][10][2]
    assert row[1] == f"{100 * wanted:.1f}" == "100.0"  # G of GATTACA
    assert len(page.find_elements("css selector", "#profile path")) == 2
    page.find_element("css selector", "#anchor option:nth-child(2)").click()
    assert shown.text.startswith("G at -50 to -31")


def test_a_neighbour_shows_its_alignment_when_it_is_opened(page: Any, report: AuditReport) -> None:
    assert page.find_elements("css selector", "#aligned pre") == []
    (number,) = [i for i, entry in enumerate(report.neighbours) if entry.row.id.endswith("test0")]
    page.find_elements("css selector", "#aligned summary")[number].click()
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
    wait(page, 60).until(
        lambda _: page.find_elements("css selector", "#aligned pre")
    )  # the event of opening comes later
    upper, marks, lower = page.find_element("css selector", "#aligned pre").get_attribute("textContent").split("\n")[:3]
    assert (len(upper), lower.count("-")) == (60, 1)
    assert [i for i, mark in enumerate(marks) if mark != "|"] == [lower.index("-")]
    assert upper.replace("-", "") == upper


def test_the_page_fits_a_phone(page: Any) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    wide = page.execute_script("return document.scrollingElement.scrollWidth")
    assert wide <= 360
    for button in page.find_elements("css selector", "#places button"):
        assert button.size["height"] >= 32


def test_reports_of_before_have_a_page(report: AuditReport) -> None:
    old = report.to_dict() | {"schema": "audit-2"}
    del old["positions"], old["neighbours"], old["references"], old["rules"]
    old["verdict"] = {key: old["verdict"][key] for key in ("level", "flags", "sentences", "text")}
    assert "audit again" in render_audit_html(old)


def test_an_alignment_is_the_best_local_one() -> None:
    assert local_alignment("TTACGTACGTGG", "CCACGTACGTAA") == (8, 2, 2, "ACGTACGT", "ACGTACGT")
    score, start, other, first, second = local_alignment("ACGTACGTGACCTTGACA", "ACGTACGTACCTTGACA")
    assert (score, start, other) == (14, 0, 0)
    assert (first.replace("-", ""), second.count("-")) == ("ACGTACGTGACCTTGACA", 1)
    assert local_alignment("NNNN", "NNNN")[0] == 0
