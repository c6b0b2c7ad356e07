// uPlot in the page's colours and grid: lines, stacked areas, bars.
import { colour, empty, put } from "./dom.js";

const HEIGHT = 220;
const charts = new Set();

/** A chart in an element; `draw(spec)` makes or updates it, `draw(null, "why")` shows an empty state. */
export function chart(element, height = HEIGHT) {
  const self = { plot: null, key: "", spec: null, raw: null };
  const width = () => Math.max(200, element.clientWidth);
  new ResizeObserver(() => self.plot && self.plot.setSize({ width: width(), height })).observe(element);

  self.draw = (spec, why) => {
    self.spec = spec;
    if (!spec || !spec.x.length) {
      if (self.plot) self.plot.destroy();
      self.plot = null; self.key = "";
      put(element, empty(why || "nothing yet"));
      return;
    }
    self.raw = spec.series.map((s) => s.data);
    const data = [spec.x, ...(spec.stacked ? stack(self.raw) : self.raw)];
    const key = JSON.stringify([spec.series.map((s) => [s.label, s.colour]), spec.y?.toString().length, document.documentElement.dataset.theme]);
    if (self.plot && key === self.key) { self.plot.setData(data); return; }
    if (self.plot) self.plot.destroy();
    put(element);
    self.plot = new uPlot(options(spec, self, width(), height), data, element);
    if (!performance.getEntriesByName("first-chart").length) performance.mark("first-chart");
    self.key = key;
  };
  self.redraw = () => { self.key = ""; if (self.spec) self.draw(self.spec); };
  charts.add(self);
  return self;
}

export function recolour() { for (const one of charts) one.redraw(); }

/** Cumulated from the last series to the first, so that the first layer lies on top. */
function stack(raw) {
  const sums = new Array(raw[0].length).fill(0);
  const stacked = [];
  for (let s = raw.length - 1; s >= 0; s--) {
    for (let i = 0; i < sums.length; i++) sums[i] += raw[s][i] ?? 0;
    stacked[s] = sums.slice();
  }
  return stacked;
}

function options(spec, self, width, height) {
  const ink = colour("soft"), grid = { stroke: colour("line"), width: 1 };
  const font = "12px system-ui, sans-serif";
  const axis = { stroke: ink, grid, font, ticks: { show: false } };
  const steps = uPlot.paths.stepped({ align: 1 }), bars = uPlot.paths.bars({ size: [0.86, 60] });
  const series = spec.series.map((s, i) => ({
    label: s.label,
    stroke: colour(s.colour), width: spec.bars ? 0 : 1.5, dash: s.dash,
    fill: spec.bars ? colour(s.colour) : spec.stacked || s.fill ? colour(s.colour) + (spec.stacked ? "cc" : "22") : undefined,
    paths: spec.bars ? bars : spec.stepped ? steps : undefined,
    points: { show: (u) => !spec.bars && u.data[0].length < 2 }, spanGaps: true,
    value: (u, v, si, index) => {
      const value = index === null ? last(self.raw[i]) : self.raw[i][index];
      return value === null || value === undefined ? "–" : spec.value(value);
    },
  }));
  return {
    width, height,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: true, live: true },
    cursor: { drag: { x: !spec.linear, y: false }, points: { size: 6 } },
    scales: { x: { time: !spec.linear, range: spec.range }, y: { range: spec.y || fromZero } },
    padding: [10, 20, 0, 0],
    axes: [
      { ...axis, values: spec.linear ? (u, vs) => vs.map(spec.xValue) : clockValues, space: 60, size: 30 },
      { ...axis, size: 56, gap: 6, values: (u, vs) => vs.map(spec.tick || spec.value) },
    ],
    series: [{ label: spec.linear ? spec.xLabel : "UTC", value: (u, v, si, index) => {
      const at = index === null ? last(spec.linear ? [null] : self.spec.x) : v;
      return at === null || at === undefined ? "–" : spec.linear ? spec.xValue(at) : new Date(at * 1000).toISOString().slice(5, 19).replace("T", " ");
    } }, ...series],
    hooks: spec.marker ? { draw: [(u) => mark(u, spec.marker())] } : {},
  };
}

const last = (list) => (list.length ? list[list.length - 1] : null);
export const fromZero = (u, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.06];
export const around = (u, low, high) => {
  const pad = Math.max((high - low) * 0.15, Math.abs(high) * 0.002, 1e-6);
  return [low - pad, high + pad];
};

function clockValues(u, ticks, _, __, step) {
  return ticks.map((t) => {
    const text = new Date(t * 1000).toISOString();
    return step >= 86400 ? text.slice(5, 10) : step >= 60 ? text.slice(11, 16) : text.slice(11, 19);
  });
}

/** A dashed vertical line at x. */
function mark(u, x) {
  const at = Math.round(u.valToPos(x, "x", true)), c = u.ctx;
  c.save(); c.strokeStyle = colour("ink"); c.lineWidth = devicePixelRatio; c.setLineDash([4, 4]);
  c.beginPath(); c.moveTo(at, u.bbox.top); c.lineTo(at, u.bbox.top + u.bbox.height); c.stroke(); c.restore();
}
