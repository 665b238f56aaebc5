"""Checks `hawk serve` from outside: with the official OpenAI client, with schemathesis, in a browser. Checks
the page that `hawk analyze` writes in a browser, too.

    python3 tools/check_serve.py [openai] [schema] [page] [malformed] [memory] [report] --bin target/release/hawk

Without a name all parts run. The script installs its pinned packages into a virtual environment of its
own (`--venv`). `page` and `report` need Chromium: they take `chromium` of PATH, and say so where there is none. Their
screenshots go to `--shots`.
"""

import argparse
import base64
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PACKAGES = ["openai==3.57.0", "schemathesis==4.32.5", "playwright==1.65.2"]
APPLE = "red apple, fluent 3d style"
PNG = b"\x89PNG\r\n\x1a\n"
passed = failed = 0


def check(right, what, found=""):
    global passed, failed
    passed, failed = passed + bool(right), failed + (not right)
    print(("ok    " if right else "WRONG ") + what + (f"  [{found}]" if found != "" else ""), flush=True)


def into_environment(venv):
    """Goes on in the virtual environment, which is made first."""
    python = venv / "bin" / "python"
    if Path(sys.executable) == python:
        return
    stamp = venv / "packages.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        stamp.write_text("\n".join(PACKAGES))
    os.execv(python, [str(python), *sys.argv])


class Served:
    """`hawk serve` on a free port."""

    def __init__(self, hawk, *options):
        self.process = subprocess.Popen([hawk, "serve", "--port", "0", *options], stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group(0)
        self.port = int(self.url.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        check(self.process.wait(60) == 0, "SIGTERM ends the server", self.process.returncode)

    def memory(self):
        """Megabytes of resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


def pixels(hawk, png):
    """Draws an image again by plain decoding from its record."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.png")
        path.write_bytes(png)
        again = subprocess.run([hawk, "again", path, "--decoder", "ar"], capture_output=True, text=True)
        return again.returncode == 0, (again.stdout + again.stderr).strip()


def part_openai(hawk, _):
    import openai

    with Served(hawk) as served:
        client = openai.OpenAI(base_url=served.url + "/v1", api_key="none", max_retries=0)
        check([model.id for model in client.models.list()] == ["built-in scenes-v2"], "models.list")
        draw = lambda **more: client.images.generate(**{"prompt": APPLE, "extra_body": {"seed": 5}, **more})
        answer = draw(n=4)
        files = [base64.b64decode(image.b64_json) for image in answer.data]
        check(len(files) == 4 and all(file.startswith(PNG) for file in files), "four images")
        check(len(set(files)) == 4 and answer.usage.output_tokens == 4 * 256, "four different ones, with usage")
        for file in files[:2]:
            check(*[(same, "plain decoding draws it again", words) for same, words in [pixels(hawk, file)]][0])
        answer = draw(extra_body={"seed": 5, "decoder": "soar", "tree": "8"}, size="128x128", quality="high", user="me", output_format="png", response_format="b64_json")
        check(pixels(hawk, base64.b64decode(answer.data[0].b64_json))[0], "another decoder, and all fields")
        for kind, begin in [("jpeg", b"\xff\xd8"), ("webp", b"RIFF")]:
            files = [base64.b64decode(draw(output_format=kind, output_compression=quality).data[0].b64_json) for quality in (20, 100)]
            check(all(file.startswith(begin) for file in files) and len(files[0]) < len(files[1]), f"{kind} in two qualities", [len(file) for file in files])
        for partials in range(4):
            events = list(draw(stream=True, partial_images=partials))
            kinds = [event.type for event in events]
            want = ["image_generation.partial_image"] * partials + ["image_generation.completed"]
            check(kinds == want, f"a stream with {partials} partial images", kinds)
            check([event.partial_image_index for event in events[:-1]] == list(range(partials)), "their numbers")
            check(events[-1].usage.total_tokens > 256 and events[-1].created_at > 0, "the last event")
        stream = draw(stream=True, n=8, partial_images=3)
        next(iter(stream))
        stream.close()
        end = time.time() + 30
        while served.metric("hawk_num_requests_running") and time.time() < end:
            time.sleep(0.05)
        check(served.metric("hawk_num_requests_running") == 0, "a stream that is closed stops the drawing")
        for kind, param, more in [
            (openai.BadRequestError, "n", {"n": 11}),
            (openai.BadRequestError, "size", {"size": "1024x1024"}),
            (openai.BadRequestError, "prompt", {"prompt": ""}),
            (openai.BadRequestError, "partial_images", {"stream": True, "partial_images": 4}),
            (openai.BadRequestError, "background", {"background": "transparent"}),
            (openai.BadRequestError, "temperature", {"extra_body": {"temperature": -1}}),
            (openai.BadRequestError, "nonsense", {"extra_body": {"nonsense": 1}}),
            (openai.NotFoundError, "model", {"model": "gpt-image-1"}),
        ]:
            try:
                draw(**more)
                check(False, f"{more} is refused")
            except kind as error:
                check(error.param == param and error.body["message"], f"{param}: {kind.__name__}")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as keys:
        keys.write("a-right-key\n")
        keys.flush()
        with Served(hawk, "--keys", keys.name, "--batch", "1", "--queue", "10") as served:
            url = served.url + "/v1"
            try:
                openai.OpenAI(base_url=url, api_key="a-wrong-key", max_retries=0).images.generate(prompt=APPLE)
                check(False, "a wrong key is refused")
            except openai.AuthenticationError:
                check(True, "a wrong key is refused")
            client = openai.OpenAI(base_url=url, api_key="a-right-key", max_retries=0)
            outcomes = []

            def ask():
                try:
                    outcomes.append(len(client.images.generate(prompt=APPLE, n=6).data))
                except openai.RateLimitError as error:
                    outcomes.append(int(error.response.headers["retry-after"]) >= 1)

            threads = [threading.Thread(target=ask) for _ in range(5)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            full = [outcome for outcome in outcomes if outcome is True]
            check(len(outcomes) == 5 and full and 6 in outcomes, "a full queue: RateLimitError with Retry-After", outcomes)


def part_schema(hawk, arguments):
    # 413, a body that is too large, is a refusal too.
    refusals = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]
    with Served(hawk, "--queue", "64") as served, tempfile.TemporaryDirectory() as folder:
        program = Path(sys.executable).with_name("schemathesis")
        settings = Path(folder, "schemathesis.toml")
        settings.write_text(f"[checks.negative_data_rejection]\nexpected-statuses = {refusals}\n")
        run = subprocess.run(
            [program, "--config-file", settings, "run", served.url + "/openapi.json", "--checks", "all",
             # A prompt may be too long for the model, and some fields need others: a schema cannot say so.
             "--exclude-checks", "positive_data_acceptance",
             "--max-examples", str(arguments.examples), "--seed", "1", "--suppress-health-check", "all",
             "--request-timeout", "120", "--phases", "examples,coverage,fuzzing"],
            capture_output=True, text=True, cwd=folder,
        )
        print(run.stdout[-3000:])
        check(run.returncode == 0, "schemathesis finds nothing", run.returncode)
        check(served.metric("hawk_num_requests_running") == 0, "nothing is left behind")


def part_malformed(hawk, arguments):
    """Bytes that are nearly requests."""
    import socket

    draw = random.Random(1)
    body = json.dumps({"prompt": APPLE, "n": 0, "seed": 5, "temperature": 0.5, "size": "auto"}).encode()
    head = b"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with Served(hawk) as served:
        statuses, start = {}, None
        for number in range(arguments.requests):
            text = bytearray(body)
            for _ in range(draw.randint(1, 6)):
                at = draw.randrange(len(text))
                match draw.randrange(4):
                    case 0: text[at] = draw.randrange(256)
                    case 1: del text[at:at + draw.randint(1, 9)]
                    case 2: text[at:at] = bytes(draw.choices(b'{}[]",:0e-\\\x00\xff', k=draw.randint(1, 9)))
                    case 3: text[at:at] = text[:draw.randrange(len(text))]
                if not text:
                    text = bytearray(b"{")
            request = bytearray(head % len(text) + text)
            if draw.random() < 0.3:
                request[draw.randrange(len(request))] = draw.randrange(256)
            if draw.random() < 0.1:
                del request[draw.randrange(len(request)):]
            with socket.create_connection(("127.0.0.1", served.port)) as connection:
                connection.settimeout(60)
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                try:
                    answer = connection.recv(64)
                except ConnectionError:
                    answer = b""
            status = answer.split(b" ")[1].decode() if answer.startswith(b"HTTP/") else "closed"
            statuses[status] = statuses.get(status, 0) + 1
            if number == arguments.requests // 10:
                start = served.memory()
        end = served.memory()
        check(not any(status.startswith("5") for status in statuses), "no malformed request is answered by 5xx", statuses)
        check(end - start < 16, "memory stays", f"{start:.0f} to {end:.0f} MB")
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        connection.request("GET", "/health")
        check(connection.getresponse().status == 200, "the server is well")


def find_chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def part_memory(hawk, _):
    """Memory that is taken by others after the start: here the address space that the server may have."""
    if shutil.which("prlimit") is None:
        print("prlimit is missing: not checked")
        return

    def ask(body):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=300)
        connection.request("POST", "/v1/images/generations", json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    with Served(hawk, "--batch", "8") as served:
        check(ask({"prompt": APPLE, "seed": 1}) == 200, "one image")
        status = Path(f"/proc/{served.process.pid}/status").read_text()
        limit = (int(re.search(r"VmSize:\s+(\d+)", status).group(1)) << 10) + (40 << 20)
        subprocess.run(["prlimit", f"--pid={served.process.pid}", f"--as={limit}"], check=True)
        statuses = []
        asking = threading.Thread(target=lambda: statuses.append(ask({"prompt": APPLE, "seed": 1, "n": 8})))
        asking.start()
        most = 0
        while asking.is_alive():
            most = max(most, served.metric("hawk_num_requests_running"))
            time.sleep(0.01)
        check(statuses == [200] and 1 <= most < 8, "images wait while memory is short", f"{most:.0f} at once")


def part_page(hawk, arguments):
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        check(False, "there is no Chromium: apt-get install chromium")
        return
    shots = Path(arguments.shots or tempfile.mkdtemp(prefix="hawk-page-"))
    shots.mkdir(parents=True, exist_ok=True)

    def wait(page, test):
        end = time.time() + 60
        # The page's policy forbids what `wait_for_function` does.
        while not page.evaluate(test):
            assert time.time() < end, test
            time.sleep(0.01)

    with Served(hawk) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        faults, foreign = [], []

        def opened(**options):
            page = browser.new_context(**options).new_page()
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", lambda request: None if request.url.startswith((served.url, "data:", "blob:")) else foreign.append(request.url))
            page.goto(served.url)
            page.wait_for_selector("#prompt")
            wait(page, "model !== null && colours !== null")
            return page

        page = opened(viewport={"width": 1280, "height": 900}, color_scheme="light", accept_downloads=True)
        page.screenshot(path=shots / "start.png")
        # By the keyboard alone.
        page.keyboard.press("Tab")
        check(page.evaluate("document.activeElement.className") == "skip", "the first Tab offers the prompt")
        page.focus("#prompt")
        page.keyboard.press("Control+A")
        page.keyboard.type(APPLE)
        page.fill("#seed", "5")
        page.focus("#prompt")
        page.keyboard.press("Enter")
        wait(page, "panels[0].decided > 60")
        page.screenshot(path=shots / "growing.png")
        wait(page, "panels[0].done && running === null")
        time.sleep(0.5)
        page.screenshot(path=shots / "done.png")
        check("Finished" in page.text_content("#status"), "a screen reader is told", page.text_content("#status"))
        check(page.text_content("#command").startswith("hawk generate 'red apple, fluent 3d style' --seed 5"), "a command line", page.text_content("#command"))
        with page.expect_download() as download:
            page.click("#download")
        png = Path(download.value.path()).read_bytes()
        check(*[(same, "the download has its record", words) for same, words in [pixels(hawk, png)]][0])
        page.check("#compare")
        page.check("#tint")
        page.select_option("#decoder", "soar")
        page.select_option("#tree", "8")
        page.click("#draw")
        wait(page, "panels.length == 2 && panels[0].decided > 60")
        page.screenshot(path=shots / "side-by-side.png")
        wait(page, "panels.every((panel) => panel.done) && running === null")
        time.sleep(0.5)
        check("same 16384 pixels" in page.text_content("#verdict"), "both are the same", page.text_content("#verdict"))
        check(page.locator("#legend li").count() > 1, "a legend of sources")
        page.screenshot(path=shots / "compared.png", full_page=True)
        page.reload()
        wait(page, "model !== null")
        check(page.locator("#history button").count() == 1, "one seed is one image of the history")
        page.locator("#history button").first.click()
        wait(page, "panels[0].done === true")
        check(page.input_value("#seed") == "5", "the history brings the seed back")
        page.fill("#prompt", "x")
        page.fill("#seed", "")
        page.select_option("#decoder", "ar")
        page.click("#draw")
        wait(page, "panels[0].decided > 5")
        page.keyboard.press("Escape")
        wait(page, "running === null")
        check(not page.evaluate("panels[0].done === true"), "Escape stops")
        page.evaluate("model.decoders")
        page.fill("#prompt", "y" * 5000)
        page.click("#draw")
        page.wait_for_selector("#error:not([hidden])")
        check("prompt" in page.text_content("#error"), "an error is shown", page.text_content("#error"))
        names = page.evaluate("[...document.querySelectorAll('input,select,textarea,button,a')].filter((e) => !e.labels?.length && !e.ariaLabel && !e.textContent.trim() && !e.title).length")
        check(names == 0, "every control has a name", names)
        phone = opened(viewport={"width": 390, "height": 844}, device_scale_factor=2, is_mobile=True, has_touch=True, color_scheme="dark")
        phone.fill("#prompt", "hedgehog, fluent 3d style")
        phone.fill("#seed", "7")
        phone.tap("#draw")
        wait(phone, "panels[0].done && running === null")
        time.sleep(0.8)
        phone.screenshot(path=shots / "phone-dark.png")
        phone.screenshot(path=shots / "phone-dark-whole.png", full_page=True)
        wide = phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
        check(wide, "nothing is wider than a phone")
        refused = [fault for fault in faults if "400" not in fault]
        check(refused == [] and foreign == [], "no error and no other address", refused + foreign)
        browser.close()
    print("screenshots:", shots)


# Plots that show nothing, pictures that are broken, and numbers that leave their plot.
EMPTY = """[...document.querySelectorAll('.plots svg')].filter((svg) => !svg.querySelector('path.fill, polyline, image')).length
  + [...document.querySelectorAll('img')].filter((image) => !image.naturalWidth).length
  + [...document.querySelectorAll('.plots svg text')].filter((text) => {
      const [own, plot] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
      return own.left < plot.left - 1 || own.right > plot.right + 1 || own.bottom > plot.bottom + 1;
    }).length"""


def part_report(hawk, arguments):
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        check(False, "there is no Chromium: apt-get install chromium")
        return
    shots = Path(arguments.shots or tempfile.mkdtemp(prefix="hawk-report-"))
    out = shots / "analysis"
    out.mkdir(parents=True, exist_ok=True)
    for analysis in ["attention", "divergence", "rejection"]:
        subprocess.run([hawk, "analyze", analysis, "--images", "1", "--out", out], check=True, stdout=subprocess.DEVNULL)
    settings = ["--temperatures", "1", "--top-ks", "10,0", "--cfgs", "1,3", "--prompt", APPLE]
    subprocess.run([hawk, "analyze", "sampling", *settings, "--out", out], check=True, stdout=subprocess.DEVNULL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        papers = set()
        for scheme in ["light", "dark"]:
            for width in [390, 1200]:
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                faults, foreign = [], []
                page.on("console", lambda message: faults.append(message.text))
                page.on("request", lambda request: foreign.append(request.url))
                page.goto(f"file://{out / 'report.html'}")
                page.screenshot(path=shots / f"report-{scheme}-{width}.png", full_page=True)
                papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                name = f"{scheme}, {width} pixels wide"
                check(page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name}: nothing is wider")
                check(page.evaluate(EMPTY) == 0, f"{name}: every plot and picture is there", page.evaluate(EMPTY))
                foreign = [url for url in foreign if not url.startswith(("file:", "data:"))]
                check(faults == [] and foreign == [], f"{name}: no error and no other address", faults + foreign)
        check(len(papers) == 2, "light and dark differ", papers)
        check(page.locator("section").count() == 4, "four figures", page.locator("section").count())
        browser.close()
    print("screenshots:", shots)


def main():
    parts = {"openai": part_openai, "schema": part_schema, "page": part_page, "malformed": part_malformed, "memory": part_memory, "report": part_report}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *parts])
    parser.add_argument("--bin", default="target/release/hawk", help="the program")
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir(), "hawk-check-serve"))
    parser.add_argument("--shots", help="folder of the screenshots")
    parser.add_argument("--examples", type=int, default=40, help="examples of schemathesis for each path")
    parser.add_argument("--requests", type=int, default=2000, help="malformed requests")
    parser.add_argument("--install", action="store_true", help="install the packages, and no more")
    arguments = parser.parse_args()
    into_environment(arguments.venv)
    if arguments.install:
        return
    hawk = os.path.abspath(arguments.bin)
    for name in arguments.parts or parts:
        print(f"--- {name}")
        parts[name](hawk, arguments)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
