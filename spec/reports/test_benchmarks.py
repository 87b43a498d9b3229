"""The page of the benchmarks, looked at in a real browser."""
import re

import pytest

from reports import benchmarks
from spec.reports.bench_files import DECODING, EPYC, decoding, one, session
from spec.reports.browser import browser, page, troubles    # noqa: F401 (fixtures)


def write(folder, *sessions):
    path = folder / "page.html"
    path.write_text(benchmarks.page(list(sessions)), encoding="utf-8")
    return path.as_uri()


def section(page, title):
    return page.locator("section.series", has=page.locator("h2", has_text=title))


def column(table, name):
    """The cells under a heading."""
    at = table.locator("thead th").all_text_contents().index(name)
    return [row.locator("th, td").nth(at) for row in table.locator("tbody tr").all()]


def test_the_page_is_read_from_disk_as_a_person_would(tmp_path, page):
    page.goto(write(tmp_path, session(tmp_path)))
    assert page.locator("h1").text_content() == "At least as fast as vLLM in 4 of 5 measurements, slower in 1."
    facts = page.locator("header").text_content()
    assert all(each in facts for each in ("AMD EPYC", "2 cores", "3.11.7", "2026-11-23 02:10", "fedcba987"))
    titles = page.locator(".plot figcaption").evaluate_all("all => all.map(each => each.firstChild.textContent)")
    assert titles == ["Times as fast as vLLM", "Steps a second", "Times as fast as vLLM", "Against the ceiling"]
    assert page.locator(".plot canvas").count() == len(titles)


def test_each_number_of_the_file_is_in_a_table(tmp_path, page):
    """As it is, in the element's value; and rounded, for the eye."""
    page.goto(write(tmp_path, session(tmp_path)))
    table = section(page, "Decoding").locator("table")
    for name, values in {"ours steps/s": [ours for ours, _ in DECODING.values()], "vLLM steps/s": [vllm for _, vllm in DECODING.values()],
                         "ratio": [ours / vllm for ours, vllm in DECODING.values()]}.items():
        assert [float(cell.locator("data").get_attribute("value")) for cell in column(table, name)] == values
    assert [cell.locator("data").text_content() for cell in column(table, "ours steps/s")] == ["31,000", "4,700", "95.12"]
    assert [cell.text_content() for cell in column(table, "ratio")] == ["▲3.44", "▲3.13", "▼ slower0.95"]
    assert [cell.text_content() for cell in column(table, "ours spread")] == ["12%"] * 3
    assert [cell.text_content() for cell in column(table, "median of a round")] == ["250 ms"] * 3
    attention = section(page, "Attention").locator("table")
    assert [cell.text_content() for cell in column(attention, "of ceiling")] == ["75%", "88%"]
    assert [cell.text_content() for cell in column(attention, "TB/s")] == ["3.19", "3.72"]
    assert [cell.text_content() for cell in column(section(page, "Time to the first token").locator("table"), "seconds")] == ["3.50 s"]


COUNT_PIXELS = """([canvas, colours]) => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const found = colours.map(() => 0), wanted = colours.map((hex) => parseInt(hex.slice(1), 16));
    for (let at = 0; at < data.length; at += 4) {
        const index = wanted.indexOf((data[at] << 16) + (data[at + 1] << 8) + data[at + 2]);
        if (index >= 0) found[index] += 1;
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_engines_are_drawn_in_both_lights(tmp_path, page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(write(tmp_path, session(tmp_path)))
    colours = page.evaluate("['ours', 'theirs', 'before'].map(colour)")
    ours, theirs, before = page.evaluate(COUNT_PIXELS, [page.locator("canvas").nth(1).element_handle(), colours])
    assert ours > 200 and theirs > 100 and not before


def test_a_plot_says_what_is_under_the_pointer(tmp_path, page):
    page.goto(write(tmp_path, session(tmp_path)))
    plot = page.locator(".plot").nth(1)
    box = plot.locator(".u-over").bounding_box()
    plot.locator(".u-over").hover(position={"x": box["width"] - 8, "y": 20})
    assert plot.locator(".readout").text_content() == "size 1,024: ours 95.1, vLLM 100 steps/s"


def test_earlier_runs_stand_beside_on_the_same_kind_of_machine_only(tmp_path, page):
    earlier = session(tmp_path, "old.json", decoding(0.5), "2026-11-20T10:00:00")
    elsewhere = session(tmp_path, "xeon.json", decoding(9), "2026-11-21T10:00:00", EPYC | {"cpu": {"brand_raw": "Intel Xeon", "count": 2}})
    page.goto(write(tmp_path, earlier, session(tmp_path, found=decoding()), elsewhere))
    here = page.locator("section.series", has=page.locator(".machine", has_text="AMD EPYC"))
    before = column(here.locator("table"), "before: 2026-11-20 10:00 · fedcba987")
    assert [float(cell.locator("data").get_attribute("value")) for cell in before] == [ours / vllm / 2 for ours, vllm in DECODING.values()]
    assert all("now better by 100%" in cell.text_content() for cell in before)
    assert here.locator(".legend").first.text_content() == "this run2026-11-20 10:00 · fedcba987"
    there = page.locator("section.series", has=page.locator(".machine", has_text="Intel Xeon"))
    assert there.locator(".legend").first.text_content() == "this run" and "before" not in there.text_content()
    files = page.locator("main > section").last.locator("tbody td:nth-child(2)").all_text_contents()
    assert files == ["bench.json", "xeon.json", "old.json"]


def test_a_phone_shows_all_of_it(tmp_path, page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(write(tmp_path, session(tmp_path), session(tmp_path, "old.json", decoding(0.5), "2026-11-20T10:00:00")))
    assert page.evaluate("document.documentElement.scrollWidth") == 390, "the page itself must not scroll sideways"
    assert all(box["width"] > 300 and box["x"] >= 0 for box in (plot.bounding_box() for plot in page.locator(".plot").all()))
    narrow = page.locator("canvas").first.bounding_box()["width"]
    page.set_viewport_size({"width": 700, "height": 900})
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator("canvas").first.bounding_box()["width"] > narrow + 200, "turned to its side, the plots grow"


HOSTILE = '</script><img src=x onerror="document.title=1">\u202e🦙\ud800'


def test_hostile_names_are_shown_and_do_nothing(tmp_path, page):
    found = [one(f"test_{HOSTILE}", size, {f"ours {HOSTILE}/s": 1.5, "ours </script>/s": size + 1.0, HOSTILE: 1, "ratio": 2}, variant=HOSTILE) for size in (1, 2)]
    page.goto(write(tmp_path, session(tmp_path, found=found, machine=EPYC | {"python_version": HOSTILE}, datetime=HOSTILE)))
    assert page.locator("img").count() == 0 and page.title().startswith("At least as fast")
    assert page.locator("canvas").count() == 2      # the ratio, and the one rate whose name has no space in it
    assert "</script><img src=x" in page.locator("h2").first.text_content()


MISSING = [{}, {"name": "test_a", "params": None}, {"name": "test_b[x]", "extra_info": {"ratio": None, "gpu": 3}, "stats": None}, "nonsense",
           {"name": "test_c[1]", "params": {"size": True}, "extra_info": {"ratio": float("nan"), "ours steps/s": 10 ** 400}},
           one("test_d", 0, {"ratio": 0, "ours steps/s": 0}), one("test_d", 5, {"ratio": -1})]


def test_what_is_missing_is_left_out(tmp_path, page):
    page.goto(write(tmp_path, session(tmp_path, found=MISSING, machine={}, commit_info=None, datetime=None)))
    assert page.locator("h2").all_text_contents() == ["D", "A", "B", "C", "Made from"]
    assert page.locator("canvas").count() == 2
    page.goto(write(tmp_path, session(tmp_path, found=[])))
    assert page.locator("h1").text_content() == "Nothing was measured."


def test_the_page_asks_nobody_and_runs_nothing_else(tmp_path):
    """Its policy names the two scripts it holds, by their hashes; the browser would refuse any other."""
    written = benchmarks.page([session(tmp_path)])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written)[1]
    assert policy.startswith("default-src 'none'") and policy.count("'sha256-") == 2 and "unsafe-eval" not in policy
    assert len(written) < 120_000
