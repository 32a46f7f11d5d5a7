// The portal works without this file; with it, archives' answers stream in, tests show progress, lists can be filtered.
"use strict";

const ask = async (url, options = {}) => {
  const answer = await fetch(url, { credentials: "same-origin", redirect: "error", ...options,
    headers: { "X-Requested-With": "portal", ...options.headers } });
  if (answer.status === 401) { location.reload(); }
  return answer.text();
};

const fragment = html => {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content;
};

// Rows go into the list by date, newest first; what is there already stays.
const merge = rows => {
  const list = document.querySelector(rows.dataset.into);
  for (const row of [...rows.content.children]) {
    if (list.querySelector(`[data-key="${CSS.escape(row.dataset.key)}"]`)) { continue; }
    const later = [...list.children].find(other => other.dataset.sort < row.dataset.sort);
    list.insertBefore(row, later || null);
    document.querySelector("#timeline-empty").hidden = true;
  }
  if (rows.dataset.reveal) { document.querySelector(rows.dataset.reveal).hidden = false; }
  years(list);
};

// A heading where the year changes.
const years = list => {
  let year = "";
  for (const row of list.children) {
    if (row.hidden) { continue; }
    row.classList.toggle("first-of-year", row.dataset.year !== year);
    year = row.dataset.year;
  }
};

const load = async element => {
  try {
    const answer = fragment(await ask(element.dataset.load));
    for (const rows of answer.querySelectorAll("template[data-into]")) { merge(rows); rows.remove(); }
    element.replaceChildren(answer);
  } catch {
    element.textContent = element.dataset.failed;
    element.classList.add("bad");
    document.querySelector("#incomplete").hidden = false;
  }
};

const swap = async event => {
  event.preventDefault();
  const form = event.currentTarget, target = document.querySelector(form.dataset.swap);
  const button = form.querySelector("button");
  button.disabled = true;
  target.replaceChildren(fragment(`<p class="busy-line"><progress></progress> <span></span></p>`));
  target.querySelector("span").textContent = form.dataset.busy;
  target.querySelector("progress").setAttribute("aria-label", form.dataset.busy);
  try {
    target.replaceChildren(fragment(await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) })));
  } catch {
    target.textContent = form.dataset.failed;
  }
  button.disabled = false;
  if (document.activeElement === document.body) { button.focus(); }  // a disabled button loses it
};

const filter = input => {
  const list = document.querySelector(input.dataset.filter), shown = input.parentElement.querySelector("output");
  const plain = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const words = plain(input.value).split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of list.children) {
    const text = plain(row.textContent);
    row.hidden = !words.every(word => text.includes(word));
    count += row.hidden ? 0 : 1;
  }
  shown.textContent = words.length ? shown.dataset.shown.replace("#", count) : "";
  years(list);
};

// Up and down move along a timeline's rows.
const walk = event => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], row = event.target.closest(".item");
  if (!step || !row) { return; }
  const rows = [...row.parentElement.children].filter(other => !other.hidden);
  const next = rows[rows.indexOf(row) + step];
  if (!next) { return; }
  event.preventDefault();
  (event.target.matches(".pick input") && next.querySelector(".pick input") || next.querySelector("a")).focus();
};

// How many documents are ticked for a letter; once one is, the way onwards stays in sight.
const counted = form => {
  const told = form.querySelector("output"), count = [...form.elements].filter(box => box.matches(".pick :checked")).length;
  form.classList.toggle("some", count > 0);
  told.textContent = count === 1 ? told.dataset.one : count ? told.dataset.many.replace("#", count) : told.dataset.none;
};

// On a phone a table's row is a card: each cell says its column's name.
const labelled = root => root.querySelectorAll(".scroll > table:not(.compare)").forEach(table => {
  const names = [...table.querySelectorAll("thead th")].map(name => name.textContent.trim());
  for (const row of names.length ? table.tBodies : []) {
    for (const line of row.rows) { [...line.cells].forEach((cell, at) => { cell.dataset.label = names[at] || ""; }); }
  }
  table.classList.toggle("stack", names.length > 0);
});

// Rows of a list: j and k, or the arrows; the row that was left last is where they go on.
const rowKeys = list => {
  const links = () => [...list.children].filter(row => !row.hidden).map(row => row.querySelector("a"));
  document.addEventListener("keydown", event => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!step || !plainKey(event) || (event.key.length === 1 && !shortcutsOn())) { return; }
    const all = links(), here = all.findIndex(link => link.closest("li").contains(document.activeElement));
    if (here < 0 && event.key.startsWith("Arrow") && document.activeElement.closest("a, button, summary")) { return; }
    const next = all[here < 0 ? 0 : here + step];
    if (next) { event.preventDefault(); next.focus(); next.closest("li").scrollIntoView({ block: "nearest" }); }
  });
};

// Single keys that a page names. They never act while somebody types, and can be switched off (WCAG 2.1.4).
const plainKey = event => !event.defaultPrevented && !event.ctrlKey && !event.altKey && !event.metaKey
  && !event.target.closest("input:not([type=radio], [type=checkbox]), select, textarea");
const OFF = "maillage-shortcuts-off";
const shortcutsOn = () => !document.documentElement.classList.contains("no-shortcuts");
const switchShortcuts = on => {
  document.documentElement.classList.toggle("no-shortcuts", !on);
  try { on ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1"); } catch { /* it holds for this page */ }
};
const shortcut = event => {
  if (event.key.length !== 1 || !plainKey(event) || !shortcutsOn()) { return; }
  if (event.key === "?") {
    const help = document.querySelector("#shortcuts");
    if (help) { event.preventDefault(); help.open = !help.open; help.querySelector("summary").focus(); }
    return;
  }
  const target = document.querySelector(`[data-shortcut="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!target) { return; }
  event.preventDefault();
  target.focus();
  if (target.matches("a, button, [type=radio]")) { target.click(); }
  if (target.dataset.then) { document.querySelector(target.dataset.then).focus(); }
};

const refresh = element => setInterval(async () => {
  if (document.hidden || element.contains(document.activeElement)) { return; }
  element.replaceChildren(fragment(await ask(element.dataset.url)));
  labelled(element);
  const onwards = element.querySelector("[data-go]");
  if (onwards) { location.replace(onwards.dataset.go); }
}, element.dataset.every * 1000);

labelled(document);
document.querySelector(".menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
document.querySelectorAll("[data-load]").forEach(load);
document.querySelectorAll("form[data-swap]").forEach(form => form.addEventListener("submit", swap));
document.querySelectorAll("[data-filter]").forEach(input => {
  input.parentElement.hidden = false;
  input.addEventListener("input", () => filter(input));
});
document.querySelectorAll("[data-every]").forEach(refresh);
document.querySelectorAll(".timeline").forEach(list => { years(list); list.addEventListener("keydown", walk); });
document.querySelectorAll("[data-rows]").forEach(rowKeys);
document.querySelectorAll("form.letter-bar").forEach(form => {
  document.addEventListener("change", event => { if (event.target.form === form) { counted(form); } });
  window.addEventListener("pageshow", () => counted(form));  // the browser keeps what was ticked
});
document.querySelectorAll("#shortcuts").forEach(help => {
  help.hidden = false;
  const box = help.querySelector("#shortcuts-on");
  try { box.checked = localStorage.getItem(OFF) === null; } catch { box.checked = true; }
  switchShortcuts(box.checked);
  box.addEventListener("change", () => switchShortcuts(box.checked));
});
document.addEventListener("keydown", shortcut);
document.querySelectorAll("[data-print]").forEach(button => {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
});
document.querySelector("[data-focus]")?.focus();
