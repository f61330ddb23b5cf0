"use strict";
const $ = (id) => document.getElementById(id);
const WORDS = JSON.parse($("words").textContent), DATA = JSON.parse($("data").textContent);
const COLUMNS = ["dataset", "case_id", "frame_id", "decision", "comment", "outline", "reviewer", "pixel_sha256"];
const KEEP = "casebook-review:" + location.pathname, SVG = "http://www.w3.org/2000/svg";
const ITEMS = DATA.items.map((item) => ({ ...item, key: item.dataset + "/" + item.case_id }));
const BY_KEY = new Map(ITEMS.map((item) => [item.key, item]));
const MODELS = [...new Set(ITEMS.flatMap((item) => item.predictions.map(({ model }) => model)))].sort();
const MARKS = { accept: "✓", correct: "✎", exclude: "✕", "": "" };
const PAST = { accept: "accepted", correct: "corrected", exclude: "excluded", "": "undecided" };

// What is kept: records by case (decision, comment, outline, reviewer, draft), rows of cases that are not on this page.
// `unsaved` is the file as it would be, while it says more than the one that was saved last.
let state = { run: DATA.run, records: {}, carried: {}, saved: null, unsaved: null, at: 0, hidden: [], name: null, lang: null };
let stored = true;  // whether the browser keeps it
let draft = null;  // the outline in work: closed polygons, the open one, the chosen point, the cross
let past = [];     // drafts to go back to
let view = null;   // [x, y, width, height] of the picture that is shown

const word = (name, values = {}) =>
  (WORDS[state.lang]?.[name] ?? WORDS.en[name] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key]);
const item = () => ITEMS[state.at];
const record = (key = item().key) => state.records[key] ??= { decision: "", comment: "", outline: null, reviewer: "" };
const natural = new Intl.Collator("en", { numeric: true }).compare;

function make(tag, attributes = {}, ...children) {
  const svg = ["path", "circle", "g"].includes(tag);
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) node.setAttribute(name, value);
  node.append(...children.filter((child) => child != null));
  return node;
}

function keep() {
  if (draft) record().draft = { polygons: draft.polygons, open: draft.open };
  const [text, n] = reviewCsv();
  state.unsaved = n && text !== state.saved ? text : null;
  try { localStorage.setItem(KEEP, JSON.stringify(state)); stored = true; } catch { stored = false; say(""); }
}

let silence;
function say(text) {
  $("toast").textContent = stored ? text : text + " " + word("no_storage");
  clearTimeout(silence);
  silence = setTimeout(() => { $("toast").textContent = ""; }, 8000);
}

// The file ---------------------------------------------------------------------------------------------------------

function parseCsv(text) {
  const rows = [[""]];
  let quoted = false;
  for (let k = text.charCodeAt(0) === 0xfeff ? 1 : 0; k < text.length; k++) {
    const c = text[k], row = rows.at(-1);
    if (quoted) {
      if (c !== '"') row[row.length - 1] += c;
      else if (text[k + 1] === '"') { row[row.length - 1] += c; k++; }
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") row.push("");
    else if (c === "\n") rows.push([""]);
    else if (c !== "\r") row[row.length - 1] += c;
  }
  const [names, ...filled] = rows.filter((row) => row.length > 1 || row[0] !== "");
  return { names: names ?? [], rows: filled.map((row) => Object.fromEntries(names.map((name, k) => [name, row[k] ?? ""]))) };
}

function takeRows(text) {  // returns how many rows were taken, and how many not, by reason; null where it is no review.csv
  const { names, rows } = parseCsv(text), counts = { taken: 0, stale: 0, bad: 0, own: 0 };
  if (!COLUMNS.every((name) => names.includes(name))) return null;
  for (const row of rows) {
    const key = row.dataset + "/" + row.case_id, shown = BY_KEY.get(key);
    const kept = shown ? state.records : state.carried, mine = kept[key];
    let outline = null;
    try { outline = row.outline ? JSON.parse(row.outline) : null; } catch { /* as none */ }
    const { decision, comment, reviewer } = row;
    const said = shown ? { decision, comment, outline, reviewer } : Object.fromEntries(COLUMNS.map((name) => [name, row[name]]));
    const differs = Object.keys(said).some((name) => JSON.stringify(said[name]) !== JSON.stringify(mine?.[name]));
    if (shown && (shown.pixel_sha256 !== row.pixel_sha256 || shown.frame_id !== row.frame_id)) counts.stale++;
    else if (!Object.hasOwn(MARKS, decision) || (decision === "correct" && !outline?.length)) counts.bad++;
    else if ((mine?.decision || mine?.comment) && differs) counts.own++;  // what was decided here, no file undoes
    else { kept[key] = { ...mine, ...said }; counts.taken++; }
  }
  return counts;
}

function reviewCsv() {
  const rows = Object.values(state.carried);
  for (const { key, dataset, case_id, frame_id, pixel_sha256 } of ITEMS) {
    const own = state.records[key];
    if (!own || !(own.decision || own.comment)) continue;
    const outline = own.decision === "correct" ? JSON.stringify(own.outline) : "";
    rows.push({ dataset, case_id, frame_id, decision: own.decision, comment: own.comment, outline, reviewer: own.reviewer, pixel_sha256 });
  }
  rows.sort((a, b) => natural(a.dataset, b.dataset) || natural(a.case_id, b.case_id));
  const field = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
  const lines = [COLUMNS, ...rows.map((row) => COLUMNS.map((name) => row[name]))].map((row) => row.map(field).join(","));
  return ["\ufeff" + lines.join("\r\n") + "\r\n", rows.length, rows.filter((row) => row.decision).length];
}

function save() {
  const [text, , n] = reviewCsv(), begun = Object.values(state.records).filter((own) => own.draft).length;
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  make("a", { href: url, download: "review.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  state.saved = text;
  keep();
  say(word("saved", { n }) + (begun ? " " + word("begun", { n: begun }) : ""));
}

function open(file, text) {
  const counts = takeRows(text);
  if (!counts) return say(word("bad_file", { file, columns: COLUMNS.join(",") }));
  keep();
  showAll();
  const left = ["stale", "bad", "own"].filter((name) => counts[name]).map((name) => word(name, { n: counts[name] }));
  say([word("opened", { n: counts.taken, file }), ...left].join(" "));
}

// Deciding ---------------------------------------------------------------------------------------------------------

function decide(decision) {
  if (draft) return;
  if (decision === "correct") return startDrawing();
  Object.assign(record(), { decision, reviewer: decision ? state.name ?? "" : "" });
  decided(decision);
}

function decided(decision) {
  const { key } = item();
  keep();
  const next = decision ? nextOpen() : -1;
  if (next >= 0) go(next);
  else showAll();
  const text = word("decided", { case: key, decision: word(PAST[decision]) });
  say(decision && next < 0 ? text + " " + word("all_done") : text);
}

function nextOpen() {
  const order = ITEMS.map((_, k) => (state.at + 1 + k) % ITEMS.length);
  return order.find((k) => !state.records[ITEMS[k].key]?.decision) ?? -1;
}

function go(place) {
  if (draft) stopDrawing();
  state.at = Math.min(ITEMS.length - 1, Math.max(0, place));
  view = null;
  keep();
  showAll();
}

function step(by) {  // to the next case that the filter lists
  const wanted = $("filter").value;
  for (let k = state.at + by; k >= 0 && k < ITEMS.length; k += by) if (listed(ITEMS[k], wanted)) return go(k);
}

const listed = (each, wanted) => wanted === "all" || (state.records[each.key]?.decision || "open") === wanted;

// Drawing ----------------------------------------------------------------------------------------------------------

const path = (points, closed) => "M" + points.map((point) => point.join(",")).join(" ") + (closed ? "Z" : "");
const copied = (value) => JSON.parse(JSON.stringify(value));
const round = (value) => Math.round(value * 10) / 10;
const pixel = () => view[2] / $("picture").clientWidth;  // of the picture to one of the screen, roughly

function inside([x, y]) {
  const { width, height } = item();
  return [round(Math.min(width - 1, Math.max(0, x))), round(Math.min(height - 1, Math.max(0, y)))];
}

function startDrawing() {
  const { draft: kept, outline } = record(), { width, height } = item();
  draft = { ...copied(kept ?? { polygons: outline ?? [], open: [] }), chosen: null, cross: [Math.round(width / 2), Math.round(height / 2)] };
  past = [];
  showAll();
  $("picture").focus({ preventScroll: true });
}

function stopDrawing() {
  keep();  // what is drawn so far waits for the next time
  draft = null;
  document.body.classList.remove("draws");
}

function remember() {
  past.push(copied(draft));
  if (past.length > 500) past.shift();
}

function closeOpen() {
  if (draft.open.length >= 3) draft.polygons.push(draft.open);
  if (draft.open.length >= 3 || draft.open.length === 0) draft.open = [];
  draft.chosen = null;
}

const allPoints = () => [...draft.polygons, draft.open].flatMap((points, p) => points.map((_, k) => [p, k]));
const pointsOf = (p) => (p < draft.polygons.length ? draft.polygons[p] : draft.open);

const DRAWING = {
  "from-prediction"() {
    const worth = ({ model, dice, estimate }) => (dice ?? estimate ?? 0) - (state.hidden.includes(model) ? 2 : 0);
    const [found] = item().predictions.filter((each) => each.points.length).sort((a, b) => worth(b) - worth(a));  // the best that is shown
    if (!found) return say(word("no_prediction"));
    remember();
    draft.polygons = copied(found.points);
    draft.open = [];
    draft.chosen = null;
  },
  close() { remember(); closeOpen(); },
  undo() { if (past.length) draft = past.pop(); },
  clear() { remember(); draft.polygons = []; draft.open = []; draft.chosen = null; },
  remove() {
    remember();
    if (!draft.chosen) { draft.open.pop(); return; }
    const [p, k] = draft.chosen, points = pointsOf(p);
    points.splice(k, 1);
    if (p < draft.polygons.length && points.length < 3) draft.polygons.splice(p, 1);
    draft.chosen = null;
  },
  cancel() {
    if (draft.open.length) { remember(); draft.open = []; draft.chosen = null; return; }
    delete record().draft;
    draft = null;
    keep();
  },
  done() {
    closeOpen();
    if (!draft.polygons.length) return say(word("no_outline"));
    Object.assign(record(), { decision: "correct", outline: draft.polygons, reviewer: state.name ?? "" });
    delete record().draft;
    draft = null;
    document.body.classList.remove("draws");
    decided("correct");
  },
  point() { remember(); draft.open.push([...draft.cross]); draft.chosen = null; },
  walk(by) {
    const all = allPoints();
    if (!all.length) return;
    const at = all.findIndex(([p, k]) => draft.chosen && p === draft.chosen[0] && k === draft.chosen[1]);
    draft.chosen = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length];
    draft.cross = [...pointsOf(draft.chosen[0])[draft.chosen[1]]];
  },
  move(dx, dy) {
    draft.cross = inside([draft.cross[0] + dx, draft.cross[1] + dy]);
    if (draft.chosen) { remember(); pointsOf(draft.chosen[0])[draft.chosen[1]] = [...draft.cross]; }
  },
};

function draw(name, ...values) {
  DRAWING[name](...values);
  if (draft) keep();
  if (["cancel", "done"].includes(name)) showAll();
  else showDrawing();
}

function place(event) {  // of the pointer, in pixels of the frame
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform($("picture").getScreenCTM().inverse());
  return [at.x - 0.5, at.y - 0.5];
}

const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

function nearest(at, reach) {  // the point under the pointer
  let best = null, least = reach;
  for (const [p, k] of allPoints()) {
    const distance = apart(pointsOf(p)[k], at);
    if (distance <= least) [best, least] = [[p, k], distance];
  }
  return best;
}

function nearestEdge(at, reach) {  // the edge of a closed polygon under the pointer: where a point would go
  let best = null, least = reach;
  draft.polygons.forEach((points, p) => points.forEach((a, k) => {
    const b = points[(k + 1) % points.length], length = apart(a, b) || 1;
    const t = Math.min(1, Math.max(0, ((at[0] - a[0]) * (b[0] - a[0]) + (at[1] - a[1]) * (b[1] - a[1])) / length ** 2));
    const distance = apart([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])], at);
    if (distance <= least) [best, least] = [[p, k + 1], distance];
  }));
  return best;
}

let drag = null;
function down(event) {
  if (event.button) return;
  const at = place(event), reach = (event.pointerType === "touch" ? 18 : 9) * pixel();
  if (!draft) {
    if (zoomed()) drag = { pan: [event.clientX, event.clientY], view: [...view] };
  } else {
    remember();
    const hit = nearest(at, reach), open = draft.open;
    if (hit && hit[0] === draft.polygons.length && hit[1] === 0 && open.length >= 3) closeOpen();
    else if (hit) { draft.chosen = hit; drag = { moves: hit }; }
    else {
      const edge = open.length ? null : nearestEdge(at, reach * 0.7);
      if (edge) { draft.polygons[edge[0]].splice(edge[1], 0, inside(at)); draft.chosen = edge; drag = { moves: edge }; }
      else { open.push(inside(at)); draft.chosen = null; drag = { strokes: 0 }; }
    }
    draft.cross = inside(at);
    showDrawing();
  }
  if (drag) $("picture").setPointerCapture(event.pointerId);
}

function dragged(event) {
  if (!drag) return;
  if (drag.pan) {
    const scale = pixel();
    view[0] = drag.view[0] - (event.clientX - drag.pan[0]) * scale;
    view[1] = drag.view[1] - (event.clientY - drag.pan[1]) * scale;
    return showView();
  }
  const at = inside(place(event));
  draft.cross = at;
  if (drag.moves) pointsOf(drag.moves[0])[drag.moves[1]] = at;
  else if (apart(draft.open.at(-1), at) >= 7 * pixel()) { draft.open.push(at); drag.strokes++; }
  showDrawing();
}

function up() {
  if (drag?.strokes >= 8) closeOpen();  // a stroke by a free hand ends where it began
  if (drag && draft) { keep(); showDrawing(); }
  drag = null;
}

// Looking ----------------------------------------------------------------------------------------------------------

const whole = () => [...item().box];
const zoomed = () => view && view[2] < item().box[2];

function zoom(factor, at) {
  const [, , width, height] = item().box, size = Math.min(width, Math.max(width / 12, view[2] / factor));
  const centre = at ?? [view[0] + view[2] / 2, view[1] + view[3] / 2], share = size / view[2];
  view = size >= width ? whole() : [centre[0] - (centre[0] - view[0]) * share, centre[1] - (centre[1] - view[1]) * share, size, (size * height) / width];
  showView();
  if (draft) showDrawing();
}

function showView() {
  $("picture").setAttribute("viewBox", view.join(" "));
  document.body.classList.toggle("zoomed", Boolean(zoomed()));
}

function toggle(names) {
  const off = names.some((name) => !state.hidden.includes(name));
  state.hidden = state.hidden.filter((name) => !names.includes(name)).concat(off ? names : []);
  keep();
  showOutlines();
}

function layers() {
  const { reference, predictions, key } = item(), own = state.records[key]?.outline;
  return [
    reference == null ? null : { name: "reference", label: word("reference"), d: reference, key: "R", look: "reference" },
    ...predictions.map((each, k) => ({ name: each.model, label: each.model, d: each.outline, key: k ? "" : "P", look: "prediction-" + Math.min(MODELS.indexOf(each.model), 2), figures: each })),
    own && !draft ? { name: "own", label: word("own"), d: own.map((points) => path(points, true)).join(""), key: "", look: "own" } : null,
  ].filter(Boolean);
}

function showOutlines() {
  const shown = layers();
  $("outlines").replaceChildren(...shown.filter(({ name }) => !state.hidden.includes(name)).flatMap(({ d, look }) => [
    make("path", { d, class: "halo" }), make("path", { d, class: "edge " + look }),
  ]));
  $("layers").replaceChildren(...shown.map(({ name, label, key, look, figures }) => {
    const box = make("input", { type: "checkbox" });
    box.checked = !state.hidden.includes(name);
    box.addEventListener("change", () => toggle([name]));
    const told = figures && [
      figures.dice == null ? null : `Dice ${figures.dice.toFixed(2)}`,
      figures.estimate == null ? null : `${word("estimate")} ${figures.estimate.toFixed(2)}`,
      figures.lower_bound == null ? null : `${word("bound")} ${figures.lower_bound.toFixed(2)}`,
    ].filter(Boolean).join(" · ");
    return make("label", {}, box, make("span", { class: "swatch " + look }), label, told ? make("small", {}, told) : null, key ? make("kbd", {}, key) : null);
  }));
}

function showDrawing() {
  document.body.classList.toggle("draws", Boolean(draft));
  $("tools").hidden = !draft;
  if (!draft) return $("drawing").replaceChildren();
  const scale = pixel(), nodes = draft.polygons.map((points) => path(points, true));
  const open = draft.open.length ? [path(draft.open, false)] : [];
  const cross = `M${draft.cross[0] - 8 * scale},${draft.cross[1]}h${16 * scale}M${draft.cross[0]},${draft.cross[1] - 8 * scale}v${16 * scale}`;
  $("drawing").replaceChildren(
    ...[...nodes, ...open].flatMap((d) => [make("path", { d, class: "halo" }), make("path", { d, class: "edge own" })]),
    ...nodes.map((d) => make("path", { d, class: "shape" })),
    ...allPoints().map(([p, k]) => {
      const chosen = draft.chosen?.[0] === p && draft.chosen[1] === k, first = p === draft.polygons.length && k === 0;
      const [cx, cy] = pointsOf(p)[k];
      return make("circle", { cx, cy, r: (chosen ? 6 : first ? 5 : 3.5) * scale, class: chosen ? "chosen" : first ? "first" : null });
    }),
    make("path", { d: cross, class: "halo" }), make("path", { d: cross, class: "cursor" }),
  );
  for (const [name, off] of [["close", draft.open.length < 3], ["undo", !past.length], ["remove", !draft.chosen && !draft.open.length]])
    document.querySelector(`[data-do="${name}"]`).disabled = off;
}

function showQueue() {
  const wanted = $("filter").value, rows = [];
  ITEMS.forEach((each, k) => {
    if (!listed(each, wanted)) return;
    const decision = state.records[each.key]?.decision || "", { dice, bound } = each.figure;
    const figure = dice !== undefined ? `Dice ${dice.toFixed(2)}` : bound !== undefined ? `${word("bound")} ${bound?.toFixed(2) ?? "–"}` : word("grade");
    const button = make("button", { "data-at": k, "aria-current": k === state.at ? "true" : null },
      make("img", { src: each.picture, alt: "", loading: "lazy", decoding: "async" }),
      make("span", {}, make("b", {}, each.case_id), make("small", {}, `${figure} · ${each.dataset}`)),
      make("span", { class: "mark " + decision, title: decision ? word(PAST[decision]) : null, "aria-label": decision ? word(PAST[decision]) : null }, MARKS[decision]));
    rows.push(make("li", {}, button));
  });
  $("list").replaceChildren(...rows);
  $("list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  $("more").textContent = DATA.more ? word("more", { n: DATA.more }) : "";
}

function showAbout() {
  const { labels, reasons, dataset } = item(), own = record();
  $("decide").querySelectorAll("button").forEach((button) => {
    button.setAttribute("aria-pressed", Boolean(own.decision) && button.dataset.decide === own.decision);
    if (!button.dataset.decide) button.disabled = !own.decision;
  });
  if (document.activeElement !== $("comment")) $("comment").value = own.comment;
  $("reasons").replaceChildren(...reasons.map(({ of, text }) => make("li", {}, make("b", {}, (of === "grade" ? word("grade") : of) + ": "), text)));
  const { guideline, learnt } = labels;
  const level = [learnt?.level && `${learnt.level} (${learnt.system}, ${word("sure")} ${learnt.sure.toFixed(2)})`, guideline?.level && `${guideline.level} (${guideline.system})`];
  const stated = labels.tirads_level && `${labels.tirads_level}${labels.tirads_system ? ` (${labels.tirads_system})` : ""}`;
  const facts = [
    [word("level"), stated, level.filter(Boolean).join("; "), learnt?.level && labels.tirads_level && learnt.level !== labels.tirads_level],
    [word("advice"), labels.physician_conclusion, guideline?.advice],
    [word("machine"), null, labels.ai_advice],
    [word("histology"), labels.pathology, null],
  ].filter(([, said, found]) => said || found);
  $("facts").replaceChildren(...(facts.length ? [
    make("thead", {}, make("tr", {}, make("td"), make("th", { scope: "col" }, word("physician")), make("th", { scope: "col" }, word("computed")))),
    make("tbody", {}, ...facts.map(([name, said, found, differs]) => make("tr", {}, make("th", { scope: "row" }, name),
      make("td", {}, said ?? "–"), make("td", { class: differs ? "differs" : null }, found || "–")))),
  ] : [make("tbody", {}, make("tr", {}, make("td", {}, word("none_known"))))]));
  $("advice").textContent = (state.lang === "zh" ? guideline?.advice_zh : guideline?.advice_en) ?? "";
  $("terms").hidden = !DATA.notices[dataset];
  $("terms").lastElementChild.replaceChildren(make("pre", {}, DATA.notices[dataset] ?? ""));
}

function showAll() {
  document.documentElement.lang = state.lang;
  document.title = word("title");
  document.querySelectorAll("[data-t]").forEach((node) => { node.textContent = word(node.dataset.t); });
  document.querySelectorAll("[data-t-title]").forEach((node) => { node.title = word(node.dataset.tTitle); node.setAttribute("aria-label", node.title); });
  document.querySelectorAll("[data-t-label]").forEach((node) => node.setAttribute("aria-label", word(node.dataset.tLabel)));
  $("hint").textContent = word("hint");
  $("reviewer").value = state.name ?? "";
  showKeys();
  const n = ITEMS.filter(({ key }) => state.records[key]?.decision).length, before = Object.values(state.carried).filter((row) => row.decision).length;
  $("progress").textContent = word("progress", { n, m: ITEMS.length }) + (before ? ` (+ ${word("before", { n: before })})` : "");
  $("bar").value = ITEMS.length ? n / ITEMS.length : 1;
  $("work").hidden = !ITEMS.length;
  $("empty").hidden = Boolean(ITEMS.length);
  if (!ITEMS.length) return;
  const { key, picture, width, height, frame_id, n_frames } = item(), pixels = $("pixels");
  $("case").textContent = key + (n_frames > 1 ? `, ${word("frames", { k: Number(frame_id.split("/").at(-1)) + 1, n: n_frames })}` : "");
  for (const [name, value] of Object.entries({ href: picture, width, height })) pixels.setAttribute(name, value);
  if (!view) view = whole();
  showView();
  showOutlines();
  showDrawing();
  showQueue();
  showAbout();
  $("previous").disabled = state.at === 0;
  $("next").disabled = state.at === ITEMS.length - 1;
  if (ITEMS[state.at + 1]) new Image().src = ITEMS[state.at + 1].picture;
}

// Keys -------------------------------------------------------------------------------------------------------------

const LOOKING = {
  j: () => step(1), k: () => step(-1), n: () => { const k = nextOpen(); if (k >= 0) go(k); },
  r: () => toggle(["reference"]), p: () => toggle(item().predictions.map((each) => each.model)), h: () => toggle(layers().map((each) => each.name)),
  "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => zoom(0.01),
};
const DECIDING = {
  a: () => decide("accept"), c: () => decide("correct"), x: () => decide("exclude"), u: () => decide(""),
  m: () => $("comment").focus(),
};
const PENCIL = {
  " ": () => draw("point"), Enter: () => draw("close"), z: () => draw("undo"), b: () => draw("from-prediction"), d: () => draw("done"),
  Delete: () => draw("remove"), Backspace: () => draw("remove"), Escape: () => draw("cancel"), ".": () => draw("walk", 1), ",": () => draw("walk", -1),
};
const FILING = { s: save, o: () => $("file").click(), l: () => { state.lang = state.lang === "zh" ? "en" : "zh"; keep(); showAll(); }, "?": () => $("keys").showModal() };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LISTED = [
  ["k_look", [["J K", "k_next"], ["N", "k_open"], ["R", "k_reference"], ["P", "k_prediction"], ["H", "k_hide"], ["+ - 0", "k_zoom"]]],
  ["k_decide", [["A", "k_accept"], ["C", "k_correct"], ["X", "k_exclude"], ["U", "k_reopen"], ["M", "k_comment"]]],
  ["k_draw", [["← ↑ ↓ →", "k_cursor"], ["Space", "k_point"], ["Enter", "k_close"], [", .", "k_walk"], ["Delete", "k_remove"], ["Z", "k_undo"], ["B", "k_begin"], ["D", "k_done"], ["Esc", "k_cancel"]]],
  ["k_file", [["S", "k_save"], ["O", "k_load"], ["L", "k_language"], ["?", "k_help"]]],
];

function showKeys() {
  $("key-list").replaceChildren(...LISTED.flatMap(([title, keys]) => [make("h3", {}, word(title)), ...keys.map(([names, what]) =>
    make("div", {}, make("span", {}, ...names.split(" ").flatMap((name) => [make("kbd", {}, name), " "])), make("span", {}, word(what))))]));
}

document.addEventListener("keydown", (event) => {
  const writes = event.target.matches?.("textarea, input:not([type=checkbox]), select");
  if (writes && event.key === "Escape") return event.target.blur();
  if (writes || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.ctrlKey) { if (draft && event.key === "z") { event.preventDefault(); draw("undo"); } return; }
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key, onButton = event.target.matches?.("button, summary, label, input");
  if (onButton && (name === " " || name === "Enter")) return;  // they press it
  const arrow = draft && ARROWS[name], pace = event.shiftKey ? 10 : 1;
  const action = arrow ? () => draw("move", arrow[0] * pace, arrow[1] * pace)
    : (draft && PENCIL[name]) || FILING[name] || (ITEMS.length && ((!draft && DECIDING[name]) || LOOKING[name]));
  if (!action) return;
  event.preventDefault();
  action();
});

// The page ---------------------------------------------------------------------------------------------------------

$("save").addEventListener("click", save);
$("open").addEventListener("click", FILING.o);
$("language").addEventListener("click", FILING.l);
$("help").addEventListener("click", FILING["?"]);
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) open(file.name, await file.text());
});
$("reviewer").addEventListener("input", () => { state.name = $("reviewer").value.trim(); keep(); });
$("who").addEventListener("close", () => { state.name = $("who-name").value.trim(); keep(); showAll(); });
$("comment").addEventListener("input", () => { record().comment = $("comment").value; keep(); });
$("decide").addEventListener("click", (event) => { const button = event.target.closest("button"); if (button) decide(button.dataset.decide); });
$("tools").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  draw(button.dataset.do);
  if (draft) $("picture").focus({ preventScroll: true });  // arrows and space go on drawing
});
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("filter").addEventListener("change", showQueue);
$("list").addEventListener("click", (event) => { const button = event.target.closest("button"); if (button) go(Number(button.dataset.at)); });
$("unfold").addEventListener("click", () => {
  const folded = $("queue").classList.toggle("folded");
  $("unfold").setAttribute("aria-expanded", !folded);
});
$("picture").addEventListener("pointerdown", down);
$("picture").addEventListener("pointermove", dragged);
$("picture").addEventListener("pointerup", up);
$("picture").addEventListener("pointercancel", up);
$("picture").addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !zoomed() && event.deltaY > 0) return;  // the page scrolls
  event.preventDefault();
  const at = place(event);
  zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, [at[0] + 0.5, at[1] + 0.5]);
}, { passive: false });
addEventListener("resize", () => { if (draft) showDrawing(); });

addEventListener("storage", ({ key, newValue }) => {  // decided in another tab
  if (key !== KEEP || !newValue) return;
  const own = ITEMS.length && record(), { run, records, carried, saved } = JSON.parse(newValue);
  if (run !== DATA.run) return location.reload();  // the page was written anew: this one would undo what is decided there
  Object.assign(state, { records, carried, saved });
  if (draft) state.records[item().key] = own;
  showAll();
});
addEventListener("beforeunload", (event) => { if (!stored && state.unsaved) event.preventDefault(); });

let before = {};
try { before = JSON.parse(localStorage.getItem(KEEP)) ?? {}; } catch { /* begin anew */ }
if (before.run === DATA.run) Object.assign(state, before);
else Object.assign(state, { name: before.name ?? null, lang: before.lang ?? null });
state.lang ??= navigator.language?.startsWith("zh") ? "zh" : "en";
state.at = Math.min(state.at, Math.max(0, ITEMS.length - 1));
$("queue").classList.add("folded");
if (before.run === DATA.run) showAll();
else {  // what was decided before goes on into the next file, and so does what a page at this place held and nobody saved
  if (DATA.review) takeRows(DATA.review);
  state.saved = reviewCsv()[0];
  if (before.unsaved) {  // newer than any file
    Object.assign(state, { records: {}, carried: {} });
    open(word("last_page"), before.unsaved);
    takeRows(DATA.review ?? "");
  }
  keep();
  showAll();
}
if (state.name === null && ITEMS.length) $("who").showModal();
