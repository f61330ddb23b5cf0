"use strict";
// Tabs, filter, sorting and the other language. Without this script the whole page stands one below the other.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const root = document.documentElement;
const tabs = all("#tabs a");
const panels = tabs.map((tab) => document.querySelector(tab.hash));

function show(at) {
  tabs.forEach((tab, k) => {
    tab.setAttribute("aria-selected", k === at);
    tab.tabIndex = k === at ? 0 : -1;
    panels[k].classList.toggle("off", k !== at);
  });
}

function follow() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const at = panels.findIndex((panel) => panel.contains(named));
  show(Math.max(at, 0));
  if (at < 0) return;
  for (let node = named; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  if (named !== panels[at]) named.scrollIntoView();
  else scrollTo(0, Math.min(scrollY, document.querySelector("header").offsetHeight)); // to the top of the panel
}

document.getElementById("tabs").setAttribute("role", "tablist");
tabs.forEach((tab, k) => {
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", panels[k].id);
  panels[k].setAttribute("role", "tabpanel");
  panels[k].setAttribute("aria-labelledby", tab.id);
  tab.addEventListener("keydown", (event) => {
    const last = tabs.length - 1;
    const to = { ArrowRight: k === last ? 0 : k + 1, ArrowLeft: k ? k - 1 : last, Home: 0, End: last, " ": k }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    location.replace(tabs[to].hash);
    tabs[to].focus({ preventScroll: true });
  });
});
addEventListener("hashchange", follow);

// A list of more than a handful gets a field: what has every word of it stays.
function offer(list, items) {
  const field = document.getElementById("filter").content.cloneNode(true);
  const [input, count] = [field.querySelector("input"), field.querySelector("output")];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    const kept = items.filter((item) => {
      const text = item.textContent.toLowerCase();
      const keep = words.every((word) => text.includes(word));
      item.classList.toggle("off", !keep);
      return keep;
    });
    count.textContent = `${kept.length} / ${items.length}`;
  });
  list.before(field);
}

function value(row, column, numeric) {
  const text = row.cells[column].textContent.trim();
  return numeric ? parseFloat(text.replace(/,/g, "").replace("−", "-")) : text;
}

// The other way round when asked again; what has no number comes last, and a row over all stays on top.
function sort(table, head) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  const numeric = head.classList.contains("n");
  all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  for (const body of table.tBodies) {
    const rows = all("tr:not(.overall)", body).map((row) => [value(row, head.cellIndex, numeric), row]);
    rows.sort(([a], [b]) => {
      if (numeric && (isNaN(a) || isNaN(b))) return isNaN(a) - isNaN(b);
      return (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true })) * (up ? 1 : -1);
    });
    body.append(...rows.map(([, row]) => row));
  }
}

for (const table of all("table:not(.fixed)")) {
  const rows = all("tbody tr:not(.overall)", table);
  if (rows.length > 8) offer(table.closest(".scroll") ?? table, rows);
  for (const head of rows.length > 1 ? all("thead th", table) : []) {
    if (!head.textContent.trim()) continue;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head));
    head.append(button);
  }
}
for (const list of all(".filtered")) if (list.children.length > 1) offer(list, [...list.children]);

// Each label holds the other language: to switch is to swap, and to switch again is to swap back.
function translate() {
  for (const label of all("[data-zh]")) [label.innerHTML, label.dataset.zh] = [label.dataset.zh, label.innerHTML];
  for (const name of ["aria-label", "alt"]) {
    for (const label of all(`[data-zh-${name}]`)) {
      const other = label.getAttribute(`data-zh-${name}`);
      label.setAttribute(`data-zh-${name}`, label.getAttribute(name));
      label.setAttribute(name, other);
    }
  }
  root.lang = root.lang === "en" ? "zh-Hans" : "en";
}

const button = document.getElementById("language");
button.hidden = false;
button.addEventListener("click", () => {
  translate();
  button.lang = root.lang === "en" ? "zh-Hans" : "en";
  try { localStorage.setItem("casebook-language", root.lang); } catch { /* a browser that keeps nothing */ }
});
try { if (localStorage.getItem("casebook-language") === "zh-Hans") button.click(); } catch { /* as above */ }
follow();
