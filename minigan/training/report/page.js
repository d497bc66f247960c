"use strict";
// The interaction on the page of a run: one cursor in all curves and heat maps, sliders over the pictures, and the color
// scheme. The numbers are in the element "data": see charts.py, layers.py and frames.py.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
root.classList.add("script");

// As `number` in markup.py
function number(value) {
  const size = Math.abs(value);
  let shown;
  if (size >= 1e6 || (0 < size && size < 1e-3)) shown = value.toExponential(2).replace("+", "");
  else if (size >= 1e3) shown = Math.round(value).toLocaleString("en-US");
  else shown = String(Number(value.toPrecision(4)));
  return shown.replace("-", "−").replace("e-", "e−");
}
const atStep = (step) => "step " + step.toLocaleString("en-US");

// The index of the value nearest to x in an ascending list
function nearest(list, x) {
  let low = 0, high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] <= x) low = middle; else high = middle;
  }
  return Math.abs(list[low] - x) <= Math.abs(list[high] - x) ? low : high;
}

function add(parent, name) {
  const element = document.createElement("div");
  element.className = name;
  element.hidden = true;
  return parent.appendChild(element);
}

// A view shows the values at one of its `steps`: show(index), or show(null) for the initial state. words(index) returns
// text for screen readers, area() the rectangle of the time axis on the screen.
function chartView(figure, { curves, range }) {
  const plot = figure.querySelector(".plot");
  const values = [...figure.querySelectorAll(".curve b")], at = figure.querySelector(".at b");
  const names = values.map((value) => value.parentElement.firstChild.nextSibling.data.trim());
  const first = [...values, at].map((place) => [place, place.textContent]);
  const line = add(plot, "cursor"), points = curves.map((_, i) => add(plot, "point c" + i % 6));
  // Each curve has steps of its own: a measure need not be in every record. Before its first one it has no value
  const steps = curves.map((curve) => curve.steps).reduce((a, b) => (b.length > a.length ? b : a));
  const shown = (curve, i) =>
    steps[i] < curve.steps[0] ? "—" : number(curve.values[nearest(curve.steps, steps[i])]);
  const place = (step) => 100 * step / data.last + "%";
  const show = (i) => {
    for (const mark of [line, ...points]) mark.hidden = i === null;
    if (i === null) {
      for (const [element, text] of first) element.textContent = text;
      return;
    }
    line.style.left = place(steps[i]);
    at.textContent = steps[i].toLocaleString("en-US");
    curves.forEach((curve, k) => {
      const j = nearest(curve.steps, steps[i]), value = curve.values[j];
      values[k].textContent = shown(curve, i);
      points[k].hidden = steps[i] < curve.steps[0];
      const y = Math.min(Math.max((range[1] - value) / (range[1] - range[0]), 0), 1);
      points[k].style.left = place(curve.steps[j]);
      points[k].style.top = 100 * y + "%";
    });
  };
  const words = (i) => atStep(steps[i]) + ": " + names.map((name, k) => name + " " + shown(curves[k], i)).join(", ");
  const title = figure.querySelector("h3").textContent;
  return { element: plot, title, steps, show, words, area: () => plot.getBoundingClientRect() };
}

function heatView(figure, { steps, rows }) {
  const strips = [...figure.querySelectorAll(".strip img")], values = [...figure.querySelectorAll(".value")];
  const head = figure.querySelector("thead th:last-child"), line = add(figure, "cursor");
  const first = [...values, head].map((place) => [place, place.textContent]);
  const shown = (value) => (value === null ? "—" : number(value));
  const show = (i) => {
    line.hidden = i === null;
    if (i === null) {
      for (const [place, text] of first) place.textContent = text;
      return;
    }
    const top = strips[0].getBoundingClientRect(), bottom = strips[strips.length - 1].getBoundingClientRect().bottom;
    const origin = figure.getBoundingClientRect();
    line.style.left = top.left - origin.left + top.width * (i + 0.5) / steps.length + "px";
    line.style.top = top.top - origin.top + "px";
    line.style.height = bottom - top.top + "px";
    head.textContent = atStep(steps[i]);
    rows.forEach((row, k) => { values[k].textContent = shown(row[i]); });
  };
  const names = [...figure.querySelectorAll("tbody th b")].map((name) => name.textContent);
  const words = (i) => atStep(steps[i]) + ": " + names.map((name, k) => name + " " + shown(rows[k][i])).join(", ");
  const title = figure.querySelector("h3").textContent + ", gradients";
  const element = figure.querySelector("table");
  return { element, title, steps, show, words, area: () => strips[0].getBoundingClientRect() };
}

const each = (selector, list, view) => [...document.querySelectorAll(selector)].map((figure, i) => view(figure, list[i]));
const views = [...each(".chart", data.charts, chartView), ...each(".heat", data.maps, heatView)];

function pointAt(step) {
  for (const view of views) view.show(step === null ? null : nearest(view.steps, step));
}

// The pictures of an exhibit over time. The slider moves the cursor in the curves; a press on a curve selects the
// pictures of that time in all exhibits.
function filmView(section, frames) {
  const picture = section.querySelector("img"), slider = section.querySelector("input");
  const label = section.querySelector("output"), button = section.querySelector(".controls button");
  const words = picture.alt.replace(/ at step .*/, "");
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  const show = (i) => {
    const { step, src, phase } = frames[i];
    slider.value = i;
    picture.src = src;
    picture.alt = words + " at " + atStep(step);
    label.textContent = atStep(step) + (phase ? ", " + phase : "");
    slider.setAttribute("aria-valuetext", label.textContent);
    pointAt(step);
    if (slider.value === slider.max) stop();
  };
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  slider.addEventListener("blur", () => pointAt(null));
  button.addEventListener("click", () => {
    if (timer !== null) return stop();
    button.textContent = "Pause";
    timer = setInterval(() => show(Number(slider.value) + 1), 200);
    show(slider.value === slider.max ? 0 : Number(slider.value));
  });
  const steps = frames.map((frame) => frame.step);
  return { turnTo: (step) => { stop(); show(nearest(steps, step)); } };
}
const films = data.films.length ? each(".film", data.films, filmView) : [];

// A table of pictures: one row at a time, large, drawn from the picture of all rows. A press on a row selects it.
function tableView(section, { left, top, right, down, width, height, captions, rows }) {
  const picture = section.querySelector("img"), cells = [...section.querySelectorAll("canvas")];
  const which = section.querySelector(".turn output"), mark = add(section.querySelector(".whole"), "chosen");
  let row = 0;
  const draw = () => {
    const W = picture.naturalWidth, H = picture.naturalHeight;
    const w = Math.max(1, Math.round(width * W)), h = Math.max(1, Math.round(height * H));
    cells.forEach((cell, column) => {
      cell.width = w;
      cell.height = h;
      cell.classList.toggle("coarse", w < 160);
      const x = Math.round((left + column * right) * W), y = Math.round((top + row * down) * H);
      cell.getContext("2d").drawImage(picture, x, y, w, h, 0, 0, w, h);
      cell.setAttribute("aria-label", captions[column] + ", row " + (row + 1));
    });
    which.textContent = row + 1 + " of " + rows;
    mark.style.top = 100 * (top + row * down) + "%";
    mark.style.height = 100 * height + "%";
    mark.hidden = false;
  };
  const turnTo = (next) => {
    row = (next + rows) % rows;
    draw();
  };
  const [previous, next] = section.querySelectorAll(".turn button");
  previous.addEventListener("click", () => turnTo(row - 1));
  next.addEventListener("click", () => turnTo(row + 1));
  section.querySelector(".cells").addEventListener("click", () => turnTo(row + 1));
  picture.addEventListener("click", (event) => {
    const area = picture.getBoundingClientRect(), place = (event.clientY - area.top) / area.height;
    turnTo(Math.min(Math.max(Math.floor((place - top) / down), 0), rows - 1));
  });
  picture.addEventListener("load", draw);
  if (picture.complete) draw();
}
each(".film.table", data.tables, tableView);

for (const view of views) {
  const element = view.element;
  const follow = (event, pressed) => {
    const area = view.area(), place = (event.clientX - area.left) / area.width;
    if (place < -0.05 || place > 1.05) return;
    pointAt(place * data.last);
    if (pressed) for (const film of films) film.turnTo(place * data.last);
  };
  element.addEventListener("pointerdown", (event) => follow(event, true));
  element.addEventListener("pointermove", (event) => follow(event, false));
  element.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") pointAt(null); });

  // Keys: arrows move by one point, Page Up and Page Down by ten
  let index = view.steps.length - 1;
  const tell = () => {
    element.setAttribute("aria-valuenow", view.steps[index]);
    element.setAttribute("aria-valuetext", view.words(index));
  };
  element.tabIndex = 0;
  element.setAttribute("role", "slider");
  element.setAttribute("aria-label", view.title + ", over the steps");
  element.setAttribute("aria-valuemin", view.steps[0]);
  element.setAttribute("aria-valuemax", view.steps[view.steps.length - 1]);
  tell();
  element.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10,
      Home: -Infinity, End: Infinity };
    if (event.key === "Escape") pointAt(null);
    if (!(event.key in moves)) return;
    event.preventDefault();
    index = Math.min(Math.max(index + moves[event.key], 0), view.steps.length - 1);
    tell();
    pointAt(view.steps[index]);
  });
  element.addEventListener("blur", () => pointAt(null));
}

// During training: reload the page twice a minute; the setting persists across reloads
const followed = document.getElementById("follow");
if (followed) {
  const key = "minigan " + location.pathname;
  const recall = () => { try { return sessionStorage.getItem(key); } catch { return null; } };
  const again = () => { if (followed.checked) location.reload(); };
  followed.checked = recall() === "yes";
  followed.addEventListener("change", () => {
    try { sessionStorage.setItem(key, followed.checked ? "yes" : "no"); } catch { /* storage is disabled */ }
  });
  setInterval(again, 30000);
}

// Color scheme: that of the system, until the user selects the other one
const theme = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
let dark = system.matches;
const paint = () => { theme.textContent = dark ? "Light" : "Dark"; };
theme.addEventListener("click", () => {
  dark = !dark;
  root.style.colorScheme = dark ? "dark" : "light";
  paint();
});
system.addEventListener("change", () => { if (!root.style.colorScheme) { dark = system.matches; paint(); } });
paint();
