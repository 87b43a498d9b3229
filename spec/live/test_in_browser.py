"""The live page as a person uses it: a real Chromium, a real server, our engine, and the real vLLM."""
import json
import threading
import time

import pytest

pytest.importorskip("starlette", reason="starlette and uvicorn come with vLLM: 'make setup' installs them")
pytest.importorskip("uvicorn", reason="starlette and uvicorn come with vLLM: 'make setup' installs them")
pytest.importorskip("playwright", reason="playwright is not installed: 'make setup' installs it")

import uvicorn
from playwright.sync_api import expect

from reports.page import write_page
from reports.run_file import read
from spec.engine.side_by_side import needs_torch, needs_vllm
from spec.live.server import LiveServer, live_app
from spec.reports.browser import browser, page, troubles

pytestmark = needs_torch
HOSTILE = "<img src=x onerror=\"document.title='broken'\"></textarea><script>document.title='broken'</script> \u202eevil\u202c 🙂"
STEPS = "#clock"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = LiveServer(tmp_path_factory.mktemp("live"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def opened(server, page):
    """The page, with an engine of ours at work, quickly."""
    server.driver.put({"do": "resume"})
    server.driver.put({"do": "speed", "steps_per_second": 100})
    server.driver.put({"do": "engine", "engine": "impl", "model": "qwen3", "limits": {"num_blocks": 20, "block_size": 8}})
    page.goto(server.address)
    expect(page.locator("#limits")).to_contain_text("20 blocks of 8 tokens", timeout=30_000)
    expect(page.locator("#requests li")).to_have_count(0)
    return page


def ask(page, prompt, tokens=12):
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_label("Tokens", exact=True).fill(str(tokens))
    page.get_by_role("button", name="Ask").click()


def lines(server, file=-1):
    return [json.loads(line) for line in server.driver.files[file].read_text().splitlines()]


def said(server, request_id):
    """What the run file says that a request was answered."""
    return "".join(line["step"].get("text", {}).get(request_id, "") for line in lines(server) if line["type"] == "step" and line["side"] == "ours")


def test_a_prompt_is_typed_and_its_text_appears(server, opened):
    expect(opened.locator("#connection")).to_have_text("connected")
    ask(opened, "Elizabeth was")
    request = opened.locator("#requests li")
    expect(request).to_contain_text("finished: as long as asked")
    expect(request.locator(".asked")).to_have_text("Elizabeth was")
    expect(request.locator("ins")).to_have_text(said(server, "1"))
    assert len(said(server, "1")) > 12
    expect(opened.locator(".timeline .place")).to_contain_text("step 11 of 0–11")
    expect(opened.locator(".timeline canvas")).to_have_count(1)
    expect(opened.locator("#clock")).to_contain_text("idle · 12 steps")
    ask(opened, "Elizabeth was " * 12)
    expect(opened.locator("#requests li")).to_have_count(2)
    ask(opened, "Elizabeth was " * 12)
    expect(opened.locator("#requests li").first).to_contain_text("tokens from the cache")


def test_a_hostile_prompt_is_text(server, opened, troubles):
    ask(opened, HOSTILE)
    expect(opened.locator("#requests li")).to_contain_text("finished")
    expect(opened.locator(".asked")).to_have_text(HOSTILE.replace("\u202e", "\\u202e").replace("\u202c", "\\u202c"))
    opened.get_by_role("button", name="Save the run").click()
    expect(opened.locator("#saved pre")).to_contain_text("onerror")
    opened.locator("#ask textarea").evaluate("it => it.removeAttribute('maxlength')")
    opened.get_by_label("Prompt").fill(HOSTILE * 300)
    opened.get_by_role("button", name="Ask").click()
    expect(opened.get_by_role("alert").first).to_contain_text("at most 20,000 are taken")
    troubles[:] = [told for told in troubles if "status of 422" not in told]   # this very refusal
    assert opened.locator("main img, main script").count() == 0 and opened.title() == "live InferLab"


def test_pause_step_and_resume(server, opened):
    opened.get_by_role("button", name="Pause").click()
    expect(opened.locator(STEPS)).to_contain_text("paused")
    ask(opened, "Elizabeth was", tokens=30)
    expect(opened.locator("#requests li")).to_contain_text("waiting")
    for made in (1, 2, 3):
        opened.locator("#step").click()
        expect(opened.locator(STEPS)).to_contain_text(f"paused · {made} step")
    expect(opened.locator("#requests li")).to_contain_text("decoding · 3 said")
    assert sum(line["type"] == "step" for line in lines(server)) == 3, "paused, it makes a step only when asked"
    opened.get_by_role("button", name="Resume").click()
    expect(opened.locator(STEPS)).to_contain_text("idle · 30 steps")


def test_a_look_back_does_not_hold_the_engine_up(server, opened):
    ask(opened, "Elizabeth was")
    expect(opened.locator(STEPS)).to_contain_text("12 steps")
    opened.get_by_role("button", name="First step").click()
    expect(opened.locator(STEPS)).to_contain_text("looking back")
    ask(opened, "Mr. Darcy")
    expect(opened.locator(STEPS)).to_contain_text("24 steps")
    expect(opened.locator(".timeline .place")).to_contain_text("step 0 of 0–23")
    opened.get_by_role("button", name="Last step").click()
    ask(opened, "Charlotte")
    expect(opened.locator(".timeline .place")).to_contain_text("step 35 of 0–35")


def test_a_request_is_aborted(server, opened):
    opened.get_by_role("button", name="Pause").click()
    ask(opened, "Elizabeth was", tokens=30)
    opened.locator("#step").click()
    expect(opened.locator(STEPS)).to_contain_text("1 step")
    opened.get_by_role("button", name="Abort request 1").click()
    expect(opened.locator("#requests li")).to_contain_text("aborted")
    expect(opened.get_by_role("button", name="Abort request 1")).to_be_hidden()
    assert not server.driver.session.unfinished


def test_limits_that_cannot_be_are_told_and_others_begin_anew(server, opened):
    ask(opened, "Elizabeth was")
    expect(opened.locator("#requests li")).to_contain_text("finished")
    opened.get_by_label("Blocks", exact=True).fill("3")
    opened.get_by_label("Longest").fill("100")
    opened.get_by_role("button", name="Begin anew").click()
    expect(opened.get_by_role("alert")).to_contain_text("PoolTooSmallError")
    expect(opened.locator("#limits")).to_contain_text("20 blocks of 8 tokens")
    expect(opened.locator("#requests li")).to_have_count(1)
    opened.get_by_label("Longest").fill("16")
    opened.get_by_label("Model").select_option("llama")
    opened.get_by_label("Policy").select_option("priority")
    opened.get_by_label("Prefix cache").uncheck()
    opened.get_by_role("button", name="Begin anew").click()
    expect(opened.locator("#limits")).to_have_text("3 blocks of 8 tokens · 32 tokens a step · 4 requests at once · sequences of 16 tokens · priority · prefix cache off")
    expect(opened.get_by_role("heading", name="impl on llama")).to_be_visible()
    expect(opened.locator("#requests li")).to_have_count(0)


def test_a_saved_run_is_a_whole_run_file(server, opened):
    ask(opened, "Elizabeth was")
    expect(opened.locator("#requests li")).to_contain_text("finished")
    number = len(server.driver.files)
    opened.get_by_role("button", name="Save the run").click()
    expect(opened.locator("#notes")).to_contain_text(server.driver.files[number - 1].name)
    expect(opened.locator("#saved pre")).to_contain_text(".ask('1', 'Elizabeth was', max_tokens=12)")
    saved = read(server.driver.files[number - 1])
    assert saved.complete and sum(event["type"] == "step" for event in saved.events) == 12
    expect(opened.locator("#requests li")).to_have_count(0)


def test_a_saved_run_plays_back_from_disk(server, opened, tmp_path):
    ask(opened, HOSTILE, tokens=9)
    expect(opened.locator("#requests li")).to_contain_text("9 said")
    shown = opened.locator("#requests li .said").inner_text()
    opened.get_by_role("button", name="Save the run").click()
    expect(opened.locator("#saved pre")).to_contain_text("onerror")
    path = tmp_path / "saved.html"
    write_page(read(server.driver.files[-2]), path)
    opened.goto(path.as_uri())
    expect(opened.locator("#connection")).to_have_text("saved")
    expect(opened.locator("#requests li .said")).to_have_text(shown, use_inner_text=True)
    steps = sum(line["type"] == "step" for line in lines(server, -2))
    expect(opened.locator("#timeline")).to_contain_text(f"step {steps - 1} of 0–{steps - 1}")
    opened.get_by_role("button", name="First step").click()
    expect(opened.locator("#timeline")).to_contain_text(f"step 0 of 0–{steps - 1}")
    expect(opened.get_by_role("button", name="Ask")).to_be_hidden()


def test_a_tab_that_comes_late_sees_everything(server, opened):
    ask(opened, "Elizabeth was")
    expect(opened.locator("#requests li")).to_contain_text("finished")
    late = opened.context.new_page()
    late.goto(server.address)
    expect(late.locator("#requests li ins")).to_have_text(said(server, "1"))
    expect(late.locator(".timeline .place")).to_contain_text("step 11 of 0–11")
    late.close()


def test_a_connection_that_is_lost_resumes_without_a_hole(server, opened, troubles):
    """The server goes away while the engine works, and comes back. A step that was missing would be an error of the page."""
    server.driver.put({"do": "speed", "steps_per_second": 20})
    ask(opened, "Elizabeth was", tokens=60)
    expect(opened.locator(STEPS)).to_contain_text("steps")
    server.uvicorn.should_exit = True
    server.threads[1].join(timeout=10)
    expect(opened.locator("#connection")).to_have_text("reconnecting")
    seen = int(opened.locator(STEPS).inner_text().split()[2])
    while server.driver.session.index < seen + 5:
        time.sleep(0.02)
    server.uvicorn = uvicorn.Server(uvicorn.Config(live_app(server.driver, server.port), host="127.0.0.1", port=server.port,
                                                   log_level="warning", timeout_graceful_shutdown=1, lifespan="off"))
    server.threads[1] = threading.Thread(target=server.uvicorn.run, daemon=True)
    server.threads[1].start()
    expect(opened.locator("#connection")).to_have_text("connected")
    server.driver.put({"do": "speed", "steps_per_second": 200})
    expect(opened.locator(STEPS)).to_contain_text("idle · 60 steps")
    expect(opened.locator("#requests li")).to_have_count(1)
    expect(opened.locator("#requests ins")).to_have_text(said(server, "1"))
    troubles[:] = [told for told in troubles if "net::ERR" not in told]    # of the connection, and of nothing else


def test_from_the_keyboard(server, opened):
    opened.get_by_label("Prompt").focus()
    opened.keyboard.type("Elizabeth was")
    opened.keyboard.press("Control+Enter")
    expect(opened.locator("#requests li")).to_contain_text("finished")
    opened.locator("h1").click()
    opened.keyboard.press("Home")
    expect(opened.locator(".timeline .place")).to_contain_text("step 0 of")
    opened.keyboard.press("ArrowRight")
    expect(opened.locator(".timeline .place")).to_contain_text("step 1 of")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(server, opened, scheme):
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": 390, "height": 844})
    ask(opened, "Supercalifragilistic" * 6)
    expect(opened.locator("#requests li")).to_contain_text("finished")
    assert opened.locator("html").evaluate("it => [it.scrollWidth, getComputedStyle(document.body).backgroundColor]") == [
        390, {"light": "rgb(250, 249, 246)", "dark": "rgb(20, 23, 26)"}[scheme]]


@needs_vllm
def test_both_engines_in_step_on_one_prompt(server, opened):
    opened.get_by_label("both, in step").check()
    opened.get_by_label("Blocks", exact=True).fill("7")
    opened.get_by_label("Tokens a block").fill("8")
    opened.get_by_role("button", name="Begin anew").click()
    expect(opened.get_by_role("alert")).to_contain_text("No common block size for 8", timeout=60_000)   # vLLM's own words
    opened.get_by_label("Tokens a block").fill("32")
    opened.get_by_role("button", name="Begin anew").click()
    expect(opened.get_by_role("heading", name="impl and vLLM, in step, on qwen3")).to_be_visible(timeout=60_000)
    ask(opened, "Elizabeth was", tokens=20)
    expect(opened.locator("#requests li")).to_contain_text("finished: as long as asked · 20 said")
    expect(opened.locator("#requests li ins")).to_have_count(1)      # two, until the other has said its last as well
    expect(opened.locator("#requests li ins")).to_have_text(said(server, "1"))
    expect(opened.locator(".timeline canvas")).to_have_count(2)
    expect(opened.locator(".timeline .place")).to_contain_text("no difference")
    theirs = "".join(line["step"].get("text", {}).get("1", "") for line in lines(server) if line["type"] == "step" and line["side"] == "theirs")
    assert theirs == said(server, "1") != ""
