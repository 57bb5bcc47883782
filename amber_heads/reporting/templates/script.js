"use strict";
(function () {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];

  function remembered() {
    try { return localStorage.getItem("amber-theme") || "auto"; } catch (error) { return "auto"; }
  }
  function setTheme(theme) {
    if (theme === "auto") root.removeAttribute("data-theme"); else root.dataset.theme = theme;
    const button = document.getElementById("theme");
    button.textContent = "Colours: " + theme;
    button.dataset.now = theme;
    try { localStorage.setItem("amber-theme", theme); } catch (error) { /* a page of its own may be kept from it */ }
  }
  document.getElementById("theme").addEventListener("click", function (event) {
    setTheme(themes[(themes.indexOf(event.target.dataset.now) + 1) % themes.length]);
  });
  setTheme(remembered());

  const island = document.getElementById("utterances");
  if (!island) return;
  const data = JSON.parse(island.textContent);
  const size = data.classes.length, number = data.ids.length;
  const letters = initials(data.classes);
  const state = { key: "entropy", down: true, page: 0, rows: [], head: 0, open: new Set() };
  const field = (name) => document.getElementById("f-" + name);

  /* One letter a class, a second one where two begin alike. */
  function initials(names) {
    const first = names.map((name) => Array.from(name)[0] || "?");
    return first.map((one, i) => (first.indexOf(one) === i ? one : one.toUpperCase()));
  }
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key === "class") node.className = value; else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }
  const percent = (share) => Math.round(100 * share) + "%";
  function shares(source, row) {
    if (source === "raters") {
      const votes = data.votes.slice(row * size, (row + 1) * size);
      const sum = votes.reduce((a, b) => a + b, 0) || 1;
      return votes.map((one) => one / sum);
    }
    return data.heads[source].p.slice(row * size, (row + 1) * size).map((one) => one / 1000);
  }
  const top = (values) => values.indexOf(Math.max(...values));
  const leads = Array.from({ length: number }, (_, row) => top(shares("raters", row)));

  const values = {
    id: (row) => data.ids[row],
    speaker: (row) => data.speakers[data.speaker[row]],
    set: (row) => data.sets[data.set[row]],
    entropy: (row) => data.entropy[row],
    conflict: (row) => (data.conflict ? data.conflict[row] : null),
    error: (row) => data.heads[state.head].js[row],
    leads: (row) => leads[row],
  };

  function within(name, value) {
    const low = field(name + "-low"), high = field(name + "-high");
    if (!low) return true;
    if (low.value === "" && high.value === "") return true;
    if (value === null) return false;
    return (low.value === "" || value >= +low.value) && (high.value === "" || value <= +high.value);
  }
  function matches(row, words) {
    if (!words) return true;
    const text = [data.ids[row], values.speaker(row), data.texts ? data.texts[row] || "" : ""].join("\n");
    return text.toLowerCase().includes(words);
  }
  function chosen(row, words) {
    const lead = field("class").value;
    if (lead !== "" && leads[row] !== +lead) return false;
    if (field("set") && field("set").value !== "" && data.set[row] !== +field("set").value) return false;
    if (field("wrong").checked && top(shares(state.head, row)) === leads[row]) return false;
    return within("entropy", values.entropy(row)) && within("conflict", values.conflict(row)) &&
      within("error", values.error(row)) && matches(row, words);
  }
  function compare(a, b) {
    const x = values[state.key](a), y = values[state.key](b);
    if (x === y) return a - b;
    if (x === null) return 1;
    if (y === null) return -1;
    return (x < y ? -1 : 1) * (state.down ? -1 : 1);
  }
  function update() {
    state.head = +field("head").value;
    const words = field("words").value.trim().toLowerCase();
    state.rows = [];
    for (let row = 0; row < number; row++) if (chosen(row, words)) state.rows.push(row);
    state.rows.sort(compare);
    state.page = 0;
    draw();
  }

  function bars(source, row) {
    const values = shares(source, row), name = source === "raters" ? "raters" : data.heads[source].label;
    const told = values.map((one, i) => data.classes[i] + " " + percent(one)).join(", ");
    const box = make("span", { class: "bars" + (source === "raters" ? " raters" : ""), role: "img",
      "aria-label": name + ": " + told, title: name + ": " + told });
    for (const one of values) {
      const bar = make("i");
      bar.style.height = (100 * one).toFixed(1) + "%";
      box.append(bar);
    }
    return make("td", { class: "bar" }, box);
  }
  function figure(value) {
    return make("td", {}, value === null || value === undefined ? "–" : value.toFixed(3));
  }
  function line(row) {
    const open = state.open.has(row);
    const button = make("button", { type: "button", class: "open", "aria-expanded": String(open),
      "aria-label": "all numbers of " + data.ids[row], "data-row": row }, open ? "−" : "+");
    button.addEventListener("click", function () {
      if (open) state.open.delete(row); else state.open.add(row);
      draw();
      document.querySelector('button.open[data-row="' + row + '"]').focus();
    });
    const cells = [make("td", {}, button), make("th", { scope: "row", class: "key name", title: data.ids[row] }, data.ids[row])];
    if (data.sets.length > 1) cells.push(make("td", { class: "name" }, values.set(row)));
    cells.push(make("td", { class: "name" }, values.speaker(row) || "–"), make("td", { class: "name" }, data.classes[leads[row]]),
      figure(values.entropy(row)));
    if (data.conflict) cells.push(figure(values.conflict(row)));
    cells.push(figure(values.error(row)), bars("raters", row));
    data.heads.forEach((_, head) => cells.push(bars(head, row)));
    if (data.texts) cells.push(make("td", { class: "text" }, data.texts[row] || ""));
    return make("tr", {}, ...cells);
  }
  function meterCell(share) {
    const fill = make("i"), meter = make("span", { class: "meter", "aria-hidden": "true" }, fill);
    fill.style.width = (100 * share).toFixed(1) + "%";
    return make("td", {}, meter, share.toFixed(3));
  }
  function detail(row, width) {
    const facts = make("dl");
    const told = { speaker: values.speaker(row) || "unknown", session: data.sessions[data.session[row]] || "unknown",
      fold: data.folds[data.fold[row]], votes: data.votes.slice(row * size, (row + 1) * size).join(" · ") };
    for (const [term, value] of Object.entries(told)) facts.append(make("div", {}, make("dt", {}, term), make("dd", {}, String(value))));
    const body = make("tbody");
    const add = (name, source, js) => {
      const cells = shares(source, row).map(meterCell);
      body.append(make("tr", { class: source === "raters" ? "raters" : "" }, make("th", { scope: "row" }, name), ...cells, figure(js)));
    };
    add("raters", "raters", null);
    data.heads.forEach((head, i) => add(head.label, i, head.js[row]));
    const heads = ["", ...data.classes, "JS to raters"].map((name) => make("th", { scope: "col" }, name));
    const table = make("table", {}, make("caption", {}, data.ids[row]), make("thead", {}, make("tr", {}, ...heads)), body);
    const cell = make("td", { colspan: width }, facts, make("div", { class: "scroll" }, table));
    if (data.texts && data.texts[row]) cell.prepend(make("p", {}, "“" + data.texts[row] + "”"));
    if (data.audio && data.audio[data.ids[row]]) cell.append(make("p", {}, make("audio", { controls: "", preload: "none", src: data.audio[data.ids[row]] })));
    return make("tr", { class: "detail" }, cell);
  }
  function draw() {
    const length = +field("length").value, pages = Math.max(1, Math.ceil(state.rows.length / length));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const body = document.querySelector("#list tbody"), width = document.querySelectorAll("#list thead tr:first-child > *").length;
    const rows = [];
    for (const row of state.rows.slice(state.page * length, (state.page + 1) * length)) {
      rows.push(line(row));
      if (state.open.has(row)) rows.push(detail(row, width));
    }
    if (!rows.length) rows.push(make("tr", {}, make("td", { colspan: width, class: "text" }, "No utterance is like that.")));
    body.replaceChildren(...rows);
    const plural = state.rows.length === 1 ? " utterance" : " utterances";
    document.getElementById("status").textContent = state.rows.length + " of " + number + plural + ", page " + (state.page + 1) + " of " + pages;
    document.getElementById("before").disabled = state.page === 0;
    document.getElementById("after").disabled = state.page >= pages - 1;
    for (const head of document.querySelectorAll("#list th[data-key]")) {
      if (head.dataset.key === state.key) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }
  for (const head of document.querySelectorAll("#list th[data-key]")) {
    head.querySelector("button").addEventListener("click", function () {
      const key = head.dataset.key;
      state.down = state.key === key ? !state.down : !["id", "speaker", "set", "leads"].includes(key);
      state.key = key;
      update();
    });
  }
  for (const box of document.querySelectorAll("#list .letters")) {
    letters.forEach((letter, i) => box.append(make("span", { title: data.classes[i] }, letter)));
  }
  for (const one of document.querySelectorAll("#filters input, #filters select")) {
    one.addEventListener(one.type === "search" || one.type === "number" ? "input" : "change", update);
  }
  field("length").addEventListener("change", draw);
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("filters").addEventListener("reset", () => setTimeout(update, 0));
  document.getElementById("before").addEventListener("click", () => { state.page -= 1; draw(); });
  document.getElementById("after").addEventListener("click", () => { state.page += 1; draw(); });
  update();
})();
