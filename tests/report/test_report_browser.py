"""The page in a real browser: nothing executes, nothing leaves, everything is drawn."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_runs import (
    HOSTILE,
    diverged,
    four_runs,
    healthy,
    hostile,
    huge,
    lab_page,
    run_of,
    saved,
)

from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.experiment import Chart, Experiment, Series
from steadytrain.core.history import History
from steadytrain.report.diagnosis import diagnosis_experiment
from steadytrain.report.html import write_report
from steadytrain.store.reader import SavedRun

pytestmark = pytest.mark.browser

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def with_zeros() -> SavedRun:
    history = History({"parameter": ["a", "b"]}, capacity=None)
    for step in range(20):
        history.append(step, "grad_norm", [0.0, 1.0 + step])
    return saved(history=history)


RUNS = {
    "healthy": lambda: [healthy(200)],
    "diverged": lambda: [diverged()],
    "hostile": lambda: [hostile()],
    "huge": lambda: [huge(2000, 40)],
    "empty": lambda: [saved()],
    "one step": lambda: [run_of(1)],
    "experiment": lambda: [lab_page(), *four_runs()[2:]],
    "no claims": lambda: [
        saved(experiment=diagnosis_experiment(Diagnosis(summary="All is well.")))
    ],
    "zeros": lambda: [with_zeros()],
    "two": lambda: [healthy(50), run_of(30)],
    "many": lambda: [run_of(30, seed=seed) for seed in range(9)],
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is on the PATH")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


class Opened:
    """A page in the browser, with all it did that it should not have done."""

    def __init__(self, browser: Any, path: Path, width: int = 1280) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.misdeeds: list[str] = []
        own = path.as_uri()
        self.page.on("console", lambda m: self.misdeeds.append(f"console: {m.text}"))
        self.page.on("pageerror", lambda e: self.misdeeds.append(f"error: {e}"))
        self.page.on("dialog", lambda d: self.misdeeds.append(f"dialog: {d.message}"))
        self.page.on("request", lambda r: self._request(r.url, own))
        self.page.goto(own)
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def _request(self, url: str, own: str) -> None:
        if url.partition("#")[0] != own and not url.startswith(("data:", "blob:")):
            self.misdeeds.append(f"request: {url}")


@pytest.fixture(scope="module")
def opened(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder, pages = tmp_path_factory.mktemp("pages"), {}

    def show(name: str, width: int = 1280) -> Opened:
        if (name, width) not in pages:
            path = write_report(RUNS[name](), folder / f"{name}.html")
            pages[name, width] = Opened(chromium, path, width)
        return pages[name, width]

    yield show
    for page in pages.values():
        page.page.close()


WIDTHS = [*((name, 1280) for name in RUNS), ("hostile", 390), ("experiment", 390), ("two", 390)]


@pytest.mark.parametrize(("name", "width"), WIDTHS)
def test_a_page_draws_without_a_misdeed_and_without_a_horizontal_scroll(
    opened: Any, name: str, width: int
) -> None:
    shown = opened(name, width)
    assert shown.misdeeds == []
    assert shown.page.evaluate("document.documentElement.scrollWidth") == width
    plots = shown.page.locator(".plot")
    assert shown.page.locator(".plot .main-svg").count() >= plots.count()


def test_on_a_phone_the_labels_of_a_comparison_are_not_one_letter_wide(opened: Any) -> None:
    heads = opened("two", 390).page.locator("#numbers th[scope=row]")
    assert min(box["width"] for box in (at.bounding_box() for at in heads.all())) > 80


def test_a_page_without_a_claim_expects_nothing(opened: Any) -> None:
    page = opened("no claims").page
    assert page.locator("#experiment-0 h2").text_content() == "What was measured"
    assert page.locator("text=Expected").count() == 0


def test_hostile_names_are_text_wherever_they_stand(opened: Any) -> None:
    page = opened("hostile").page
    assert page.title() == f"{HOSTILE[1]} · steadytrain report"
    assert (
        page.locator("main script, main img, main iframe, main a[href^='http'], svg a").count() == 0
    )
    assert page.locator(".plot svg b, .plot svg tspan[style*='bold']").count() == 0
    assert page.locator(".finding code").first.text_content() == HOSTILE[0]


def test_hovering_a_hostile_name_shows_it_as_text(opened: Any) -> None:
    shown = opened("hostile")
    plot = shown.page.locator("#layers .plot").first
    plot.scroll_into_view_if_needed()
    box = plot.locator(".nsewdrag").first.bounding_box()
    for row in range(len(HOSTILE)):
        shown.page.mouse.move(box["x"] + 60, box["y"] + (row + 0.5) * box["height"] / len(HOSTILE))
        shown.page.wait_for_timeout(80)
        if row == 4:
            text = plot.locator(".hoverlayer").text_content()
            assert HOSTILE[4] in text.replace("\u200b", "")
    assert plot.locator(".hoverlayer a, .hoverlayer script").count() == 0
    assert shown.misdeeds == []


def test_the_sentence_is_the_heading_and_carries_its_severity(opened: Any) -> None:
    page = opened("diverged").page
    assert page.locator("h1").text_content().startswith("Training broke at step 312")
    assert "critical" in page.locator(".verdict .badge").text_content()
    assert page.locator(".notice").text_content().count("missing") == 1


def test_a_finding_leads_to_the_page_of_its_rule(opened: Any) -> None:
    page = opened("diverged").page
    page.locator(".finding a").first.click()
    assert page.locator("#rule-0").get_attribute("open") is not None
    assert page.locator("#rule-0 h4").first.text_content() == "What it sees"
    assert page.locator("#rule-0").is_visible()


def test_the_parameter_table_sorts_by_any_column_with_the_keyboard(opened: Any) -> None:
    page = opened("healthy").page
    page.locator("#parameters th button", has_text="gradient norm").focus()
    page.keyboard.press("Enter")
    cells = page.locator("#parameters tbody tr td:nth-child(4)").all_text_contents()
    values = [float(cell) for cell in cells]
    assert values == sorted(values, reverse=True)
    page.keyboard.press("Enter")
    cells = page.locator("#parameters tbody tr td:nth-child(4)").all_text_contents()
    assert [float(cell) for cell in cells] == sorted(values)


def test_the_parameter_table_filters_and_grows_on_demand(opened: Any) -> None:
    page = opened("huge").page
    rows = page.locator("#parameters tbody tr")
    assert rows.count() == 100
    page.locator("#parameters .more").click()
    assert rows.count() == 300
    page.locator("#parameters input").fill("layers.7.")
    assert rows.count() == 8


def test_a_scale_can_be_changed_and_says_which_it_is(opened: Any) -> None:
    page = opened("healthy").page
    linear, log = page.locator("#loss .toggle button").all()
    assert log.get_attribute("aria-pressed") == "true"
    linear.click()
    assert linear.get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.querySelector('#loss .plot').layout.yaxis.type") == "linear"


def test_of_many_runs_the_reader_chooses_one(opened: Any) -> None:
    page = opened("many").page
    before = page.locator("#layers .plot").count()
    page.locator("#layers select").select_option("3")
    assert page.locator("#layers .plot .main-svg").first.is_visible()
    assert page.locator("#layers .plot").count() == before == 3


def test_a_reduced_picture_says_so(opened: Any) -> None:
    page = opened("huge").page
    assert "2,000 parameters as 240 rows" in page.locator("#layers figcaption").first.text_content()


def test_what_was_not_finite_is_drawn_as_such(opened: Any) -> None:
    page = opened("diverged").page
    assert "not finite, 108 steps" in page.locator("#loss .legend").text_content()
    traces = page.evaluate("document.querySelector('#layers .plot').data.length")
    assert traces == 2


def test_a_gradient_of_exactly_zero_is_not_drawn_as_a_small_one(opened: Any) -> None:
    page = opened("zeros").page
    assert "exactly zero" in page.locator("#layers .legend").text_content()
    scaled = page.evaluate("document.querySelector('#layers .plot').data[0].z.map((row) => row[0])")
    assert scaled == [None, 0]
    assert "1 parameter with a gradient of exactly zero" in page.locator("#spread").text_content()


def test_on_paper_a_dark_page_is_light_and_its_charts_keep_their_places(
    chromium: Any, tmp_path: Path
) -> None:
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(write_report([diverged()], tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    heights = (
        "[...document.querySelectorAll('.plot')].map((p) => [p.offsetHeight, p.layout.height])"
    )
    assert all(node == layout for node, layout in page.evaluate(heights))
    assert page.locator("details:not([open])").count() == 0
    context.close()


def test_without_a_script_the_page_says_what_it_needs(chromium: Any, tmp_path: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(write_report([healthy(5)], tmp_path / "page.html").as_uri())
    assert "Allow scripts" in page.locator("noscript").inner_text()
    context.close()


def test_names_that_look_like_numbers_stay_names(chromium, tmp_path):
    line = Series(name="a", x=("3e-4", "1e-3", "1e-1"), y=(3.0, 2.0, 2.5))
    chart = Chart(title="Loss", x_label="rate", y_label="loss", series=(line,))
    found = Experiment(name="x", title="Rates", summary="Some.", data="none", charts=(chart,))
    run = saved(path=Path("x"), experiment=found, meta={"name": "x"})
    opened = Opened(chromium, write_report([run], tmp_path / "x.html"))
    types = "[...document.querySelectorAll('.plot')].map((plot) => plot._fullLayout.xaxis.type)"
    assert opened.page.evaluate(types) == ["category"]
    opened.page.close()
