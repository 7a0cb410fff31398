"use strict";
(function () {
  const page = JSON.parse(document.getElementById("page").textContent);
  const byId = (id) => document.getElementById(id);
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const font = { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 12, color: "#22303c" };
  const config = { displayModeBar: false, responsive: true };
  const narrow = () => window.innerWidth < 760;

  function layoutOf(own) {
    const base = {
      font: font, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: narrow() ? 52 : 64, r: 14, t: 8, b: 36 },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
      hoverlabel: { font: { size: 12 } }, dragmode: coarse ? false : "zoom",
    };
    const merged = Object.assign(base, own);
    merged.xaxis = Object.assign({ type: "date", gridcolor: "#eef1f4", automargin: true }, own.xaxis);
    for (const key of Object.keys(own)) {
      if (key.startsWith("yaxis")) merged[key] = Object.assign({ gridcolor: "#eef1f4", automargin: true }, own[key]);
    }
    return merged;
  }

  function draw(id, figure) {
    const place = byId(id);
    if (!place || !figure) return;
    const own = JSON.parse(JSON.stringify(figure.layout));
    const first = figure.data[0] || {};
    if (first.type === "waterfall") own.xaxis = Object.assign({ type: "category" }, own.xaxis);
    Plotly.react(place, figure.data, layoutOf(own), config);
  }

  // --- the standing pictures ---------------------------------------------------------------
  const figures = page.figures;
  for (const id of Object.keys(figures)) if (!id.includes(":")) draw(id, figures[id]);
  function chooseInstrument(name) {
    draw("price", figures["price:" + name]);
    draw("depth", figures["depth:" + name]);
  }
  const select = byId("instrument");
  chooseInstrument(select ? select.value : page.replay.instrument);
  if (select) select.addEventListener("change", () => chooseInstrument(select.value));

  // --- stories -----------------------------------------------------------------------------
  for (const row of document.querySelectorAll("details[data-story]")) {
    row.addEventListener("toggle", () => {
      const place = row.querySelector(".story");
      if (row.open && !place.innerHTML) place.innerHTML = page.stories[Number(row.dataset.story)];
    });
  }
  const filter = byId("filter");
  if (filter) filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const row of document.querySelectorAll("details[data-story]")) {
      row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
    }
  });

  // --- the replay --------------------------------------------------------------------------
  const film = page.replay;
  const slider = byId("slider"), play = byId("play");
  const last = film.t.length - 1;
  slider.max = String(last);
  const two = (n) => String(n).padStart(2, "0");
  function clock(ms) {
    const d = new Date(ms);
    return two(d.getUTCHours()) + ":" + two(d.getUTCMinutes()) + ":" + two(d.getUTCSeconds());
  }
  function money(x) {
    if (x === null || x === undefined) return "-";
    const a = Math.abs(x);
    if (a >= 1e9) return (x / 1e9).toFixed(2) + " bn";
    if (a >= 1e6) return (x / 1e6).toFixed(a >= 1e8 ? 0 : 1) + " mn";
    if (a >= 1e4) return (x / 1e3).toFixed(0) + " k";
    return x.toLocaleString("en-US", { maximumFractionDigits: 0 });
  }
  function number(x) {
    return x === null ? "-" : x.toLocaleString("en-US", { maximumSignificantDigits: 6 });
  }
  function before(times, ms) { // how many entries are at or before ms
    let low = 0, high = times.length;
    while (low < high) { const mid = (low + high) >> 1; if (times[mid] <= ms) low = mid + 1; else high = mid; }
    return low;
  }

  const chapterButtons = film.chapters.map((chapter) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = chapter.title;
    button.addEventListener("click", () => { stop(); show(chapter.frame); });
    byId("chapters").appendChild(button);
    return button;
  });

  const logTimes = film.log.map((line) => line[0]);
  const prices = film.price.mark.filter((p) => p !== null);
  const priceRange = [Math.min(...prices), Math.max(...prices)];
  const margin = 0.04 * (priceRange[1] - priceRange[0] || 1);
  const hitSizes = film.hits.usd.map((x) => x || 0);
  const largestHit = Math.max(1, ...hitSizes);
  let deepest = 1;
  for (const side of [film.book.bids, film.book.asks, [film.book.usual_bids, film.book.usual_asks]])
    for (const row of side) deepest = Math.max(deepest, row[row.length - 1] || 0);
  const sizes = film.accounts.size;

  function drawPrice(i, now) {
    const upTo = before(film.price.t, now), hits = before(film.hits.t, now);
    Plotly.react("replay-price", [
      { type: "scatter", mode: "lines", x: film.price.t, y: film.price.mark, line: { color: "#dfe5ea", width: 1.5 }, hoverinfo: "skip" },
      { type: "scatter", mode: "lines", x: film.price.t.slice(0, upTo).concat([now]),
        y: film.price.mark.slice(0, upTo).concat([film.book.mark[i]]), line: { color: "#22303c", width: 2 }, hoverinfo: "x+y" },
      { type: "scatter", mode: "markers", x: film.hits.t.slice(0, hits), y: film.hits.price.slice(0, hits),
        text: film.hits.stage.slice(0, hits), hovertemplate: "%{text} at %{y}<extra></extra>",
        marker: { color: film.hits.stage.slice(0, hits).map((s) => film.stage_colours[s]), opacity: 0.6, line: { width: 0 },
          size: hitSizes.slice(0, hits).map((x) => 4 + 14 * Math.sqrt(x / largestHit)) } },
      { type: "scatter", mode: "markers", x: [now], y: [film.book.mark[i]], marker: { size: 11, color: "#1d6fa5", line: { color: "#fff", width: 2 } }, hoverinfo: "skip" },
    ], layoutOf({ showlegend: false, xaxis: { range: [film.t[0], film.t[last]] },
      yaxis: { range: [priceRange[0] - margin, priceRange[1] + margin] } }), config);
  }

  function drawAccounts(i) {
    const colours = [], y = [], text = [];
    film.accounts.ratios.forEach((row, a) => {
      const state = film.accounts.states[a][i];
      const gone = state === "5";
      y.push(gone ? 0.05 : row[i]);
      colours.push(state === "-" ? "#cfd6dc" : film.state_colours[Number(state)]);
      text.push(film.accounts.names[a] + (state === "-" ? "" : ": " + film.states[Number(state)]));
    });
    const line = (value, colour) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: value, y1: value,
      line: { color: colour, width: 1.5, dash: "dash" } });
    const label = (value, words) => ({ xref: "paper", x: 1, y: Math.log10(value), text: words, showarrow: false,
      xanchor: "right", yanchor: "bottom", font: { size: 11, color: "#6b7280" } });
    Plotly.react("replay-accounts", [
      { type: "scatter", mode: "markers", x: sizes, y: y, text: text, hovertemplate: "%{text}, %{y:.0%}<extra></extra>",
        marker: { color: colours, size: 9, opacity: 0.85, line: { color: "#fff", width: 0.7 } } },
    ], layoutOf({ showlegend: false, hovermode: "closest",
      xaxis: { type: "log", dtick: 1, title: { text: "largest maintenance margin, USD" } },
      yaxis: { type: "log", range: [Math.log10(0.042), Math.log10(24)], tickvals: [0.05, 0.1, 0.5, 1, 3, 10, 20],
        ticktext: ["0", "10 %", "50 %", "100 %", "300 %", "10x", "20x +"] },
      shapes: [line(3, "#e9c46a"), line(1, "#d62828")],
      annotations: [label(3, "warning"), label(1, "liquidation")] }), config);
  }

  function drawBook(i) {
    const bands = film.book.bands, asks = film.book.asks[i], bids = film.book.bids[i];
    const usual = (side) => film.book["usual_" + side];
    const bars = (values, sign, colour, name) => ({ type: "bar", orientation: "h", x: values, name: name,
      y: bands.map((b) => (sign > 0 ? "+" : "-") + b + " %"), marker: { color: colour },
      hovertemplate: "within %{y}: %{x:,.0f} USD<extra></extra>" });
    const ghost = (side, sign) => ({ type: "scatter", mode: "markers", x: usual(side), hoverinfo: "skip",
      y: bands.map((b) => (sign > 0 ? "+" : "-") + b + " %"),
      marker: { symbol: "line-ns-open", size: 11, color: "#6b7280", line: { width: 2 } } });
    const order = bands.slice().reverse().map((b) => "-" + b + " %").concat(bands.map((b) => "+" + b + " %"));
    Plotly.react("replay-book", [
      bars(bids, -1, "#2a9d8f", "bids"), bars(asks, 1, "#d1495b", "asks"), ghost("bids", -1), ghost("asks", 1),
    ], layoutOf({ showlegend: false, bargap: 0.18,
      xaxis: { type: "linear", range: [0, deepest * 1.03], title: { text: "USD (ticks: before)" } },
      yaxis: { type: "category", categoryorder: "array", categoryarray: order, dtick: 1, tickfont: { size: 10 } } }), config);
  }

  function writeLog(now) {
    const end = before(logTimes, now), list = byId("replay-log");
    list.replaceChildren();
    for (const line of film.log.slice(Math.max(0, end - 7), end).reverse()) {
      const item = document.createElement("li"), time = document.createElement("time"), name = document.createElement("b");
      item.className = line[3];
      time.textContent = clock(line[0]);
      name.textContent = line[1] + ": ";
      item.append(time, name, line[2]);
      list.appendChild(item);
    }
  }

  const tally = byId("numbers");
  function writeNumbers(i) {
    const book = film.book, one = book.bands.indexOf(1);
    const change = book.mark[i] / book.mark[0] - 1;
    const spread = book.best_bid[i] && book.best_ask[i]
      ? (2e4 * (book.best_ask[i] - book.best_bid[i]) / (book.best_ask[i] + book.best_bid[i])).toFixed(1) + " bp" : "one-sided";
    const entries = [
      ["mark", number(book.mark[i]), "#22303c"],
      ["change", (change >= 0 ? "+" : "") + (100 * change).toFixed(1) + " %", "#22303c"],
      ["spread", spread, "#22303c"],
      ["depth 1 %, bids", money(book.bids[i][one]), "#2a9d8f"],
      ["depth 1 %, asks", money(book.asks[i][one]), "#d1495b"],
      ["insurance fund", money(film.fund[i]), "#1d6fa5"],
    ];
    film.states.forEach((state, s) => {
      const count = film.counts[state.replaceAll(" ", "_")][i];
      entries.push([state, count.toLocaleString("en-US"), film.state_colours[s]]);
    });
    tally.replaceChildren(...entries.map(([name, value, colour]) => {
      const box = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
      box.style.borderColor = colour;
      dt.textContent = name; dd.textContent = value;
      box.append(dt, dd);
      return box;
    }));
  }

  function show(i) {
    const now = film.t[i];
    slider.value = String(i);
    byId("clock").textContent = clock(now);
    let current = 0;
    film.chapters.forEach((chapter, c) => { if (chapter.frame <= i) current = c; });
    chapterButtons.forEach((button, c) => button.classList.toggle("current", c === current));
    byId("chapter-title").textContent = film.chapters[current].title;
    byId("chapter-text").textContent = film.chapters[current].text;
    writeNumbers(i);
    drawPrice(i, now);
    drawAccounts(i);
    drawBook(i);
    writeLog(now);
  }

  let timer = null;
  function stop() {
    if (timer !== null) window.clearInterval(timer);
    timer = null;
    play.textContent = "\u25B6";
    play.setAttribute("aria-label", "play");
  }
  function start() {
    if (Number(slider.value) >= last) show(0);
    play.textContent = "\u275A\u275A";
    play.setAttribute("aria-label", "pause");
    timer = window.setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next > last) stop(); else show(next);
    }, 160);
  }
  play.addEventListener("click", () => (timer === null ? start() : stop()));
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  document.addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT"].includes(document.activeElement.tagName)) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    stop();
    show(Math.min(last, Math.max(0, Number(slider.value) + step)));
  });

  // On paper the replay stands still at the moment that says most.
  const told = film.chapters.find((c) => c.title === "Busiest minute") || film.chapters[0];
  const plots = () => document.querySelectorAll(".js-plotly-plot");
  window.addEventListener("beforeprint", () => {
    stop();
    show(told.frame);
    for (const plot of plots()) {
      const half = plot.closest(".pair, .stage");
      Plotly.relayout(plot, { width: half ? 330 : 680, height: 260 });
    }
  });
  window.addEventListener("afterprint", () => {
    for (const plot of plots()) Plotly.relayout(plot, { width: null, height: null, autosize: true });
  });
  show(0);
  document.body.dataset.ready = "true";
})();
