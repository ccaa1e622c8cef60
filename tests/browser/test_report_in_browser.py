"""The report in a real browser: it loads nothing else, fits the window, and prints on A4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from report_sample import sample

from registry.reports import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

# As root Chromium needs --no-sandbox; the others keep it from calling home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "loans-1.html"
    path.write_text(to_html(sample()), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def test_loads_nothing_but_itself_and_has_no_complaints(page: Page, report: Path) -> None:
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri(), wait_until="networkidle")
    assert requests == [report.as_uri()]
    assert complaints == []


def test_reads_without_javascript(browser: Browser, report: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(report.as_uri())
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert [" ".join(heading.split()) for heading in headings] == [
        "Contents",
        "1 Verdict and what is missing",
        "2 Timeline",
        "3 Decisions",
        "4 Exceptions, findings and risks",
        "5 People and approvals",
        "6 Evidence",
        "7 Data",
        "8 Runs",
        "9 In service",
        "10 Signatures",
        "11 The system and its use",
        "A Digests in full",
        "B How to verify this report",
    ]
    page.close()


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_never_scrolls_sideways(page: Page, report: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [768, 1280])
def test_no_table_is_wider_than_its_place(page: Page, report: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    cut_off = page.evaluate(
        "[...document.querySelectorAll('.wide')].filter(box => box.scrollWidth > box.clientWidth)"
        ".map(box => box.querySelector('caption').textContent)"
    )
    assert cut_off == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_plot_is_wider_than_its_place(page: Page, report: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    outside = page.evaluate(
        "[...document.querySelectorAll('figure svg')]"
        ".filter(svg => svg.getBoundingClientRect().right > innerWidth || svg.clientWidth < 200).length"
    )
    assert outside == 0


def test_the_verdict_is_seen_without_scrolling(page: Page, report: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(report.as_uri())
    box = page.get_by_text("may not become monitored").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 720


def test_a_digest_leads_to_its_full_form(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    link = page.locator("header a.hash").first
    full = link.get_attribute("title")
    link.click()
    target = page.locator("tr:target th")
    assert target.inner_text() == full
    assert target.is_visible()


def test_prints_on_a4(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594.95996 841.91998]" in pdf or b"/MediaBox [0 0 595" in pdf
