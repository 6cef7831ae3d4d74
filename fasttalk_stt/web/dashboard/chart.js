// One chart over time: uPlot's lines on a canvas, with a legend of our own, which shows the latest
// values or those under the cursor, and the same for readers of the screen and for the keyboard:
// the plot is a slider along the time.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { element, setText } from "./dom.js";
import { clock, duration } from "./format.js";

const HEIGHT_PX = 150;
const AXIS_PX = 52;
const SYNC = "time";
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12, Home: -Infinity, End: Infinity };

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A line goes on over so much time without a value: between two texts it is often that quiet. */
const BRIDGED_S = 30;

/** Of the gaps in a line, as pixels from and to, those that stay. */
const wideGaps = (plot, _index, _first, _last, gaps) =>
  gaps.filter(([from, to]) => plot.posToVal(to, "x", true) - plot.posToVal(from, "x", true) > BRIDGED_S);

/** A value with no neighbour makes no line: it is drawn as a point. */
function isolated(plot, index) {
  const [times, values] = [plot.data[0], plot.data[index]];
  const present = [...values.keys()].filter((i) => values[i] != null);
  const isFar = (i, j) => j === undefined || Math.abs(times[i] - times[j]) > BRIDGED_S;
  return present.filter((i, place) => isFar(i, present[place - 1]) && isFar(i, present[place + 1]));
}

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

export class Chart {
  #definition;
  #plot;
  #values;
  #place;
  #empty;
  #summary;
  #pointed;
  #times = [];
  #rows = [];
  #span_s = 900;
  #now_s = 0;

  /**
   * @param definition `title`; `write`, a value as text; `axis`, the same but short; `lines`, a list of
   *   {key, name, color, dash?} with `color` a custom property's name; `bars`, whether to draw bars;
   *   `least`, what the axis reaches to at least; `steps`, the steps it may have
   */
  constructor(parent, definition) {
    this.#definition = definition;
    this.#values = definition.lines.map(() => element("b"));
    const legend = element("p", { className: "legend", ariaHidden: "true" });
    definition.lines.forEach((line, index) => {
      const swatch = element("i", { className: "swatch" });
      swatch.style.color = `var(${line.color})`;
      if (line.dash) swatch.classList.add("dashed");
      legend.append(element("span", {}, swatch, line.name, " ", this.#values[index]));
    });
    this.#place = element("div", { className: "plot", tabIndex: 0, role: "slider" });
    this.#place.ariaLabel = `${definition.title}, along the time`;
    this.#empty = element("p", { className: "plot-empty", ariaHidden: "true" });
    this.#summary = element("span", { className: "hidden" });
    this.#pointed = element("small", { ariaHidden: "true" });
    parent.append(
      element(
        "figure",
        { className: "chart panel" },
        element("figcaption", {}, element("h3", { textContent: definition.title }), this.#pointed, this.#summary),
        legend,
        element("div", { className: "plot-frame" }, this.#place, this.#empty),
      ),
    );
    this.#plot = new uPlot(this.#options(), [[], ...definition.lines.map(() => [])], this.#place);
    new ResizeObserver(([entry]) => {
      this.#plot.setSize({ width: Math.floor(entry.contentRect.width), height: HEIGHT_PX });
    }).observe(this.#place);
    this.#place.addEventListener("keydown", (event) => this.#step(event));
    this.#place.addEventListener("blur", () => this.#plot.setCursor({ left: -10, top: -10 }, true, true));
    this.#describe();
  }

  /**
   * @param history the server's `history`
   * @param span_s how much of it to show, up to `now_s` in Unix seconds
   */
  update(history, span_s, now_s) {
    const first = history.times.findIndex((time) => time >= now_s - span_s);
    const from = first < 0 ? history.times.length : first;
    this.#times = history.times.slice(from);
    this.#rows = this.#definition.lines.map(({ key }) => (history.series[key] ?? []).slice(from));
    this.#span_s = span_s;
    this.#now_s = now_s;
    this.#plot.setData([this.#times, ...this.#rows]);
    this.#describe();
  }

  /** Draw again with the colors that hold now. */
  recolor() {
    this.#plot.redraw(false, true);
  }

  #options() {
    const { lines, axis, bars, least, steps } = this.#definition;
    const grid = { stroke: () => color("--line"), width: 1 };
    const axes = { stroke: () => color("--muted"), font: "11px system-ui, sans-serif", grid, ticks: { show: false } };
    return {
      width: 300,
      height: HEIGHT_PX,
      legend: { show: false },
      padding: [8, 18, 0, 0],
      cursor: { sync: { key: SYNC }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
      scales: {
        x: { range: () => [this.#now_s - this.#span_s, this.#now_s] },
        // From zero, so that heights can be compared; with a least height, so that noise looks small.
        y: { range: (_, low, high) => [0, Math.max(least, (high ?? 0) * 1.1)] },
      },
      axes: [
        { ...axes, size: 22, space: 50, values: (_, times) => times.map((time) => clock(new Date(time * 1000)).slice(-8, -3)) },
        { ...axes, size: AXIS_PX, space: 32, incrs: steps, values: (_, values) => values.map(axis) },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          label: line.name,
          stroke: () => color(line.color),
          fill: bars ? () => color(line.color) : undefined,
          width: bars ? 0 : 1.75,
          dash: line.dash,
          gaps: wideGaps,
          paths: bars ? uPlot.paths.bars({ size: [0.8, 10, 2] }) : undefined,
          points: bars
            ? { show: false }
            : { show: () => false, filter: isolated, size: 5, width: 0, fill: () => color(line.color) },
        })),
      ],
      hooks: { setCursor: [() => this.#describe()] },
    };
  }

  #step(event) {
    if (!(event.key in STEPS) || this.#times.length === 0) return;
    event.preventDefault();
    const last = this.#times.length - 1;
    const index = Math.min(last, Math.max(0, (this.#plot.cursor.idx ?? last) + STEPS[event.key]));
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#times[index], "x"), top: 10 }, true, true);
  }

  /** Bring the legend and what readers are told up to date. */
  #describe() {
    if (!this.#plot) return;
    const { lines, write, title, bars } = this.#definition;
    const isPointed = this.#plot.cursor.left >= 0 && this.#plot.cursor.idx != null;
    const at = isPointed ? this.#plot.cursor.idx : null;
    const latest = bars ? sum : (row) => row.findLast((value) => value != null);
    const shown = this.#rows.map((row) => (at === null ? latest(row) : row[at]));
    lines.forEach((_, index) => setText(this.#values[index], write(shown[index])));
    const hasValues = this.#rows.some((row) => row.some((value) => value != null));
    this.#empty.hidden = hasValues;
    setText(this.#empty, this.#now_s === 0 ? "Waiting for the server" : "Nothing in this time");
    const place = this.#place;
    place.ariaValueMin = "0";
    place.ariaValueMax = String(Math.max(0, this.#times.length - 1));
    place.ariaValueNow = String(at ?? Math.max(0, this.#times.length - 1));
    const texts = lines.map((line, index) => `${line.name} ${write(shown[index])}`).join(", ");
    const when = at === null ? (bars ? "in all" : "latest") : clock(new Date(this.#times[at] * 1000));
    setText(this.#pointed, at === null ? "" : when);
    place.ariaValueText = hasValues ? `${when}: ${texts}` : "no values";
    setText(this.#summary, hasValues ? this.#inWords() : `${title}: no values in the last ${duration(this.#span_s)}.`);
  }

  #inWords() {
    const { lines, title, write, bars } = this.#definition;
    const parts = lines.map((line, index) => {
      const values = this.#rows[index].filter((value) => value != null);
      if (values.length === 0) return `${line.name} without values`;
      const [low, high] = [Math.min(...values), Math.max(...values)];
      if (bars) return `${line.name} ${write(sum(values))} in all, at most ${write(high)} in one step`;
      return `${line.name} ${write(values.at(-1))} at last, between ${write(low)} and ${write(high)}`;
    });
    return `${title} in the last ${duration(this.#span_s)}: ${parts.join("; ")}.`;
  }
}
