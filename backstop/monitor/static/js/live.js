// The stream of panels: the newest of each, and the series as columns.

export const panels = {};
export const series = { columns: [], data: {} };
const listeners = {};
let scheduled = new Set();

/** Call `draw` when one of the panels (or "series") changes; once a frame at most. */
export function on(names, draw) {
  for (const name of names) (listeners[name] ||= new Set()).add(draw);
}

function changed(name) {
  for (const draw of listeners[name] || []) {
    if (!scheduled.size) requestAnimationFrame(flush);
    scheduled.add(draw);
  }
}

function flush() {
  const now = scheduled;
  scheduled = new Set();
  for (const draw of now) draw();
  document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn || 0) + 1);
}

export function redraw() { for (const name of Object.keys(listeners)) changed(name); }

function restart(message) {
  series.columns = message.columns;
  series.data = Object.fromEntries(message.columns.map((name, i) => [name, message.rows.map((row) => row[i])]));
}

function append(message) {
  const times = series.data.time || [];
  for (const row of message.rows) {
    const same = times.length && times[times.length - 1] === row[0];
    series.columns.forEach((name, i) => {
      if (same) series.data[name][times.length - 1] = row[i];
    });
    if (!same) series.columns.forEach((name, i) => series.data[name].push(row[i]));
  }
  if (times.length > 5000) series.columns.forEach((name) => { series.data[name] = series.data[name].filter((_, i) => i > 2500 || i % 2 === 0); });
}

export function connect(state) {
  const source = new EventSource("/stream");
  for (const name of ["status", "fund", "markets", "stake", "risk", "shock", "feed", "rules"]) {
    source.addEventListener(name, (event) => { panels[name] = JSON.parse(event.data); changed(name); });
  }
  source.addEventListener("series", (event) => { restart(JSON.parse(event.data)); changed("series"); });
  source.addEventListener("points", (event) => { append(JSON.parse(event.data)); changed("series"); });
  source.onopen = () => state(true);
  source.onerror = () => {
    state(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => connect(state), 2000);
  };
}
