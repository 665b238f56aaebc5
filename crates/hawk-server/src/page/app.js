// The page of `hawk serve`: a client of its own API.
"use strict";

const $ = (id) => document.getElementById(id);
const HISTORY = "hawk.history", THEME = "hawk.theme", KEY = "hawk.key";
const MOST_KEPT = 48, LARGEST_KEPT = 90000;
const PALETTE = ["#0a84c6", "#e08a00", "#00946a", "#c2549d", "#7a5bd6", "#d94f3d", "#4aa3a2", "#a88b00"];
const TARGET = { recovered: "#6b7280", bonus: "#9aa3b0" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let model = null;         // what the server draws with
let colours = null;       // three bytes a code, once they have come
let running = null;       // the AbortController of the drawing
let panels = [];          // the images that are shown
let shown = null;         // the entry of the history that is shown
const sourceColours = new Map(Object.entries(TARGET));

// ---------- storage: it may be full or forbidden, and the page goes on without ----------
const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
const keep = (key, value) => { try { localStorage.setItem(key, value); return true; } catch { return false; } };

let history = [];
function readHistory() {
  try {
    const read = JSON.parse(kept(HISTORY) || "[]");
    const known = (e) => e && typeof e.prompt === "string" && typeof e.seed === "number" && typeof e.thumb === "string";
    history = Array.isArray(read) ? read.filter(known).slice(0, MOST_KEPT) : [];
  } catch { history = []; }
}
function writeHistory() {
  // A full store forgets the oldest images.
  while (!keep(HISTORY, JSON.stringify(history)) && history.length > 0) history.pop();
}

// ---------- theme ----------
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "dark" ? "☀" : "☾";
  panels.forEach(paint);
}
const systemTheme = matchMedia("(prefers-color-scheme: dark)");
setTheme(kept(THEME) || (systemTheme.matches ? "dark" : "light"));
systemTheme.addEventListener("change", () => { if (!kept(THEME)) setTheme(systemTheme.matches ? "dark" : "light"); });
$("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  keep(THEME, theme);
  setTheme(theme);
});

// ---------- panels: a canvas with what is known of an image ----------
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function newPanel(title) {
  const canvas = element("canvas", { width: 8, height: 8 });
  canvas.setAttribute("role", "img");
  const time = element("span", { className: "time" });
  const facts = element("span", { className: "facts" });
  const fill = element("i");
  const figure = element("figure", {}, canvas, element("div", { className: "bar" }, fill),
    element("figcaption", {}, element("strong", { textContent: title }), time, facts));
  const cells = model.rows * model.columns;
  const scale = Math.max(1, Math.ceil(768 / model.width));
  canvas.width = model.width * scale;
  canvas.height = model.height * scale;
  return {
    title, canvas, figure, time, facts, fill, codes: new Int32Array(cells).fill(-1), sources: new Array(cells),
    born: new Float64Array(cells), decided: 0, passes: 0, picture: null, pictured: 0, whole: null, png: null, frame: 0,
    fadeStart: 0,
  };
}

function showPanels(list) {
  panels = list;
  $("panels").replaceChildren(...list.map((panel) => panel.figure));
  list.forEach(paint);
}

function colourOf(source) {
  if (!sourceColours.has(source)) {
    sourceColours.set(source, PALETTE[(sourceColours.size - 2) % PALETTE.length]);
  }
  return sourceColours.get(source);
}

function paint(panel) {
  cancelAnimationFrame(panel.frame);
  const { canvas, codes, sources } = panel;
  const context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const w = canvas.width / model.columns, h = canvas.height / model.rows, now = performance.now();
  const tint = $("tint").checked;
  let moving = false;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = style.getPropertyValue("--cell");
  context.fillRect(0, 0, canvas.width, canvas.height);
  const fade = panel.whole ? (calm.matches ? 1 : Math.min(1, (now - panel.fadeStart) / 350)) : 0;
  if (fade < 1) {
    const dot = style.getPropertyValue("--cell-dot");
    for (let cell = 0; cell < codes.length; cell++) {
      const x = cell % model.columns * w, y = Math.floor(cell / model.columns) * h;
      if (codes[cell] < 0) {
        context.fillStyle = dot;
        context.beginPath();
        context.arc(x + w / 2, y + h / 2, Math.max(1.5, w / 14), 0, 7);
        context.fill();
        continue;
      }
      if (panel.picture && cell < panel.pictured) {
        const sx = panel.picture.width / model.columns, sy = panel.picture.height / model.rows;
        context.drawImage(panel.picture, cell % model.columns * sx, Math.floor(cell / model.columns) * sy, sx, sy, x, y, w, h);
      } else {
        const at = 3 * codes[cell];
        context.fillStyle = colours ? `rgb(${colours[at]} ${colours[at + 1]} ${colours[at + 2]})` : "#8d97a5";
        context.fillRect(Math.floor(x), Math.floor(y), Math.ceil(w), Math.ceil(h));
      }
      const age = (now - panel.born[cell]) / 450;
      if (age < 1 && !calm.matches && !panel.whole) {
        moving = true;
        context.fillStyle = `rgb(255 255 255 / ${0.65 * (1 - age)})`;
        context.fillRect(x, y, w, h);
      }
    }
  }
  if (panel.whole) {
    context.globalAlpha = fade;
    context.imageSmoothingQuality = "high";
    context.drawImage(panel.whole, 0, 0, canvas.width, canvas.height);
    context.globalAlpha = 1;
    moving ||= fade < 1;
  }
  if (tint) {
    for (let cell = 0; cell < codes.length; cell++) {
      if (!sources[cell]) continue;
      const x = cell % model.columns * w, y = Math.floor(cell / model.columns) * h;
      context.globalAlpha = 0.55;
      context.fillStyle = colourOf(sources[cell]);
      context.fillRect(x + 0.5, y + 0.5, w - 1, h - 1);
    }
    context.globalAlpha = 1;
  }
  if (moving) panel.frame = requestAnimationFrame(() => paint(panel));
}

const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

function caption(panel) {
  const perPass = panel.passes ? ` · ${(panel.decided / panel.passes).toFixed(2)} per pass` : "";
  panel.facts.textContent = panel.passes ? `${panel.decided} cells in ${panel.passes} passes${perPass}` : "";
  panel.fill.style.width = `${100 * panel.decided / panel.codes.length}%`;
  panel.canvas.setAttribute("aria-label", `${panel.title}: ${panel.decided} of ${panel.codes.length} cells`);
}

function legend() {
  const counts = new Map();
  for (const panel of panels) for (const source of panel.sources) {
    if (source) counts.set(source, (counts.get(source) || 0) + 1);
  }
  const words = { recovered: "drawn by the model", bonus: "drawn by the model, behind a whole path" };
  const items = [...counts].sort((a, b) => b[1] - a[1]).map(([source, count]) => {
    const swatch = element("i");
    swatch.style.background = colourOf(source);
    return element("li", {}, swatch, `${words[source] || `proposed: ${source}`} ${count}`);
  });
  $("legend").replaceChildren(...items);
  $("legend").hidden = !$("tint").checked || items.length === 0;
}

// ---------- the API ----------
function settings(prompt, seed) {
  return {
    prompt, seed, decoder: $("decoder").value, tree: $("tree").value, guidance: Number($("guidance").value),
    temperature: Number($("temperature").value), top_p: Number($("top-p").value), top_k: Number($("top-k").value) || 0,
  };
}

function body(asked, partials) {
  const { prompt, seed, decoder, guidance, temperature, top_p, top_k } = asked;
  const tree = decoder === "ar" ? "1" : asked.tree;
  const request = { prompt, seed, decoder, guidance, temperature, tree, stream: true, cells: true, partial_images: partials };
  // Greedy decoding has no use for them.
  return JSON.stringify(temperature > 0 ? { ...request, top_p, top_k } : request);
}

async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (data) yield JSON.parse(data);
    }
  }
}

async function pictureOf(base64, format) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: `image/${format}` }));
}

async function run(panel, asked, partials, signal, clock) {
  const headers = { "content-type": "application/json" };
  if ($("key").value) headers.authorization = `Bearer ${$("key").value}`;
  const response = await fetch("/v1/images/generations", { method: "POST", headers, body: body(asked, partials), signal });
  if (!response.ok) {
    const failed = await response.json().catch(() => ({}));
    throw new Error(failed.error?.message || `The server answered ${response.status}.`);
  }
  for await (const event of eventsOf(response)) {
    if (event.type === "hawk.started") {
      clock.start ??= performance.now();
    } else if (event.type === "hawk.cells") {
      const now = performance.now();
      event.codes.forEach((code, at) => {
        const cell = event.first + at;
        panel.codes[cell] = code;
        panel.sources[cell] = event.sources[at];
        panel.born[cell] = now;
      });
      panel.decided = event.first + event.codes.length;
      panel.passes = event.passes;
      panel.elapsed = now - clock.start;
      caption(panel);
      paint(panel);
    } else if (event.type === "image_generation.partial_image") {
      panel.picture = await pictureOf(event.b64_json, event.output_format);
      panel.pictured = event.cells;
      paint(panel);
    } else if (event.type === "image_generation.completed") {
      panel.png = event.b64_json;
      panel.whole = await pictureOf(event.b64_json, event.output_format);
      panel.fadeStart = performance.now();
      panel.done = true;
      panel.time.textContent = seconds(panel.elapsed);
      paint(panel);
    } else if (event.error) {
      throw new Error(event.error.message);
    }
  }
  if (!panel.done) throw new Error("The connection has ended before the image was finished.");
}

// ---------- drawing ----------
function freshSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

function titleOf(asked) {
  if (asked.decoder === "ar") return "Plain decoding";
  return asked.tree === "auto" ? asked.decoder : `${asked.decoder}, ${asked.tree} nodes`;
}

async function draw() {
  const prompt = $("prompt").value.trim();
  if (!prompt || !model) return $("prompt").focus();
  running?.abort();
  const control = running = new AbortController();
  const typed = $("seed").value.trim();
  const asked = settings(prompt, typed === "" ? freshSeed() : Number(typed));
  const compare = $("compare").checked && asked.decoder !== "ar";
  const main = newPanel(titleOf(asked)), clock = {};
  const plain = compare ? newPanel("Plain decoding") : null;
  shown = null;
  markShown();
  showPanels(plain ? [plain, main] : [main]);
  busy(true);
  // On a phone the image is below the form.
  const stage = document.querySelector(".stage");
  if (stage.getBoundingClientRect().top > innerHeight / 2) {
    stage.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
  }
  $("error").hidden = $("verdict").hidden = $("command").hidden = true;
  $("status").textContent = "Drawing";
  const ticking = setInterval(() => panels.forEach((panel) => {
    if (!panel.done && clock.start) panel.time.textContent = seconds(performance.now() - clock.start);
    legend();
  }), 60);
  try {
    const runs = [run(main, asked, compare ? 0 : 3, control.signal, clock)];
    if (plain) runs.push(run(plain, { ...asked, decoder: "ar" }, 0, control.signal, clock));
    await Promise.all(runs);
    if (plain) verdict(plain, main);
    remember(asked, main);
    const facts = `${main.decided} cells in ${main.passes} passes, ${seconds(main.elapsed)}, seed ${asked.seed}`;
    $("status").textContent = `Finished: ${prompt}. ${facts}. ${$("verdict").textContent}`;
  } catch (error) {
    control.abort();
    if (running === control) {
      $("status").textContent = error.name === "AbortError" ? "Stopped" : "";
      if (error.name !== "AbortError") {
        $("error").textContent = error instanceof TypeError ? "The server does not answer." : error.message;
        $("error").hidden = false;
      }
    }
  } finally {
    clearInterval(ticking);
    legend();
    if (running === control) {
      running = null;
      busy(false);
    }
  }
}

function busy(is) {
  $("stop").hidden = !is;
  $("draw").textContent = is ? "Drawing …" : "Draw";
}

function pixelsOf(picture) {
  const canvas = element("canvas", { width: picture.width, height: picture.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, picture.width, picture.height).data;
}

function verdict(plain, main) {
  const [a, b] = [pixelsOf(plain.whole), pixelsOf(main.whole)];
  const same = a.length === b.length && a.every((value, at) => value === b[at]);
  const times = (plain.passes / main.passes).toFixed(2);
  $("verdict").textContent = same
    ? `The same ${a.length / 4} pixels, with ${times} times fewer passes`
    : "Other pixels: this rule draws another sample of the same law";
  $("verdict").classList.toggle("differs", !same);
  $("verdict").hidden = false;
}

// ---------- history ----------
function remember(asked, panel) {
  const side = 192, canvas = element("canvas", { width: side, height: side });
  const scale = Math.max(side / panel.whole.width, side / panel.whole.height);
  const [w, h] = [panel.whole.width * scale, panel.whole.height * scale];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(panel.whole, (side - w) / 2, (side - h) / 2, w, h);
  const entry = { ...asked, thumb: canvas.toDataURL("image/jpeg", 0.85), model: model.name, when: Date.now() };
  if (panel.png.length < LARGEST_KEPT) entry.png = panel.png;
  history = [entry, ...history.filter((old) => !sameEntry(old, entry))].slice(0, MOST_KEPT);
  writeHistory();
  listHistory();
  actions(entry, panel.png);
}

function sameEntry(a, b) {
  return ["prompt", "seed", "model", "guidance", "temperature", "top_p", "top_k"].every((key) => a[key] === b[key]);
}

function listHistory() {
  const items = history.map((entry) => {
    const button = element("button", { type: "button", title: `${entry.prompt}\nseed ${entry.seed}` },
      element("img", { src: entry.thumb, alt: "" }),
      element("span", { className: "name", textContent: entry.prompt }),
      element("span", { className: "seed", textContent: `seed ${entry.seed}` }));
    button.setAttribute("aria-label", `${entry.prompt}, seed ${entry.seed}`);
    button.addEventListener("click", () => reopen(entry));
    button.entry = entry;
    return element("li", {}, button);
  });
  $("history").replaceChildren(...items);
  $("forget").hidden = items.length === 0;
  $("no-history").hidden = items.length > 0;
  markShown();
}

function markShown() {
  for (const button of $("history").querySelectorAll("button")) {
    button.setAttribute("aria-current", String(button.entry === shown));
  }
}

async function reopen(entry) {
  $("prompt").value = entry.prompt;
  $("seed").value = entry.seed;
  for (const [id, key] of [["guidance", "guidance"], ["temperature", "temperature"], ["top-p", "top_p"], ["top-k", "top_k"]]) {
    $(id).value = entry[key];
  }
  for (const [id, key] of [["decoder", "decoder"], ["tree", "tree"]]) {
    if ([...$(id).options].some((option) => option.value === entry[key])) $(id).value = entry[key];
  }
  refresh();
  // The same seed gives the same image: what was too large to keep is drawn again.
  if (!entry.png || entry.model !== model.name) return draw();
  running?.abort();
  $("error").hidden = $("verdict").hidden = true;
  const panel = newPanel(titleOf(entry));
  panel.whole = await pictureOf(entry.png, "png");
  panel.done = true;
  panel.time.textContent = `seed ${entry.seed}`;
  panel.fill.style.width = "100%";
  panel.canvas.setAttribute("aria-label", entry.prompt);
  showPanels([panel]);
  legend();
  actions(entry, entry.png);
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function commandOf(entry) {
  const parts = ["hawk generate", quoted(entry.prompt), `--seed ${entry.seed}`];
  const given = (option, value, usual) => { if (value !== usual) parts.push(`${option} ${value}`); };
  if (!model.name.startsWith("built-in")) parts.push(`--model ${quoted(model.name)}`);
  given("--precision", model.precision, "bf16");
  given("--decoder", entry.decoder, "scd");
  if (entry.decoder !== "ar") given("--tree", entry.tree, "auto");
  given("--cfg", entry.guidance, model.guidance);
  given("--temperature", entry.temperature, model.temperature);
  if (entry.temperature > 0) {
    given("--top-p", entry.top_p, model.top_p);
    given("--top-k", entry.top_k, model.top_k);
  }
  return parts.join(" ");
}

function actions(entry, png) {
  shown = entry;
  markShown();
  const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
  const link = $("download");
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  const words = entry.prompt.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean).join("-").slice(0, 48) || "image";
  link.download = `${words}-s${entry.seed}-0.png`;
  link.removeAttribute("aria-disabled");
  link.title = "PNG with the record of how it was made";
  $("copy").disabled = false;
  $("command").textContent = commandOf(entry);
  $("command").hidden = false;
}

$("copy").addEventListener("click", async () => {
  const text = $("command").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers give the clipboard to secure pages only: the text is selected instead.
    const range = document.createRange();
    range.selectNodeContents($("command"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    $("status").textContent = "The command is selected";
    return;
  }
  $("copy").textContent = "Copied";
  $("status").textContent = "The command is copied";
  setTimeout(() => { $("copy").textContent = "Copy command"; }, 1500);
});

$("forget").addEventListener("click", () => {
  if (!confirm("Forget all images in this browser?")) return;
  history = [];
  writeHistory();
  listHistory();
});

// ---------- the form ----------
function refresh() {
  for (const range of document.querySelectorAll(".range")) {
    range.querySelector("output").value = Number(range.querySelector("input").value).toFixed(range.querySelector("input").step < 0.1 ? 2 : 1);
  }
  const decoder = model.decoders.find((known) => known.name === $("decoder").value);
  $("decoder-help").textContent = decoder ? decoder.help : "";
  $("tree").disabled = $("decoder").value === "ar";
  $("compare").disabled = $("decoder").value === "ar";
}

function modelSettings() {
  $("guidance").max = Math.max(10, 2 * model.guidance);
  $("guidance").value = model.guidance;
  $("temperature").value = model.temperature;
  $("top-p").value = model.top_p;
  $("top-k").value = model.top_k;
  refresh();
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); draw(); });
$("form").addEventListener("input", () => model && refresh());
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("form").requestSubmit(); }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") running?.abort(); });
$("stop").addEventListener("click", () => running?.abort());
$("new-seed").addEventListener("click", () => { $("seed").value = ""; });
$("reset").addEventListener("click", modelSettings);
$("tint").addEventListener("change", () => { panels.forEach(paint); legend(); });
$("key").addEventListener("change", () => { try { sessionStorage.setItem(KEY, $("key").value); } catch { /* not kept */ } });

async function start() {
  readHistory();
  model = await (await fetch("/page/model.json")).json();
  $("model").textContent = `${model.name}, ${model.precision}`;
  $("size").append(element("option", { textContent: `${model.width} × ${model.height}`, value: model.size }));
  $("decoder").append(...model.decoders.map(({ name }) => element("option", { value: name, textContent: name })));
  $("decoder").value = model.decoder;
  const trees = ["auto", "2", "4", "8", "16", "32"];
  if (!trees.includes(model.tree)) trees.push(model.tree);
  $("tree").append(...trees.map((tree) => element("option", { value: tree, textContent: tree === "auto" ? "tuned here" : `${tree} nodes` })));
  $("tree").value = model.decoder === "ar" ? "auto" : model.tree;
  $("key-field").hidden = !model.needs_key;
  try { $("key").value = sessionStorage.getItem(KEY) || ""; } catch { /* none kept */ }
  $("examples").append(...model.examples.map((prompt) => {
    const chip = element("button", { type: "button", textContent: prompt });
    chip.addEventListener("click", () => { $("prompt").value = prompt; draw(); });
    return chip;
  }));
  $("prompt").value = model.examples[0] || "";
  modelSettings();
  showPanels([newPanel("Ready")]);
  listHistory();
  const answer = await fetch("/page/colours");
  if (answer.ok) colours = new Uint8Array(await answer.arrayBuffer());
}

start().catch(() => {
  $("error").textContent = "The server does not answer. Is `hawk serve` running?";
  $("error").hidden = false;
});
