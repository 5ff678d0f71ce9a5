"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const sound = document.getElementById("sound");
  const view = document.getElementById("view");
  const overview = document.getElementById("overview");
  const strip = overview.querySelector("canvas");
  const play = document.getElementById("play");
  const [SPECTROGRAM, HEADING, LANE, STRIP] = [200, 30, 24, 12];
  // Where in the view the present stands: more of the past is seen than of the future.
  const PRESENT = 0.6;
  let seconds = 8;

  for (const model of data.models) {
    const bytes = atob(model.posterior);
    model.level = Uint8Array.from(bytes, (c) => c.charCodeAt(0));
    model.nowLine = document.getElementById(`now-${model.id}`);
    model.lanes = model.shown.map((index) => ({ index, row: document.getElementById(`lane-${model.id}-${index}`) }));
  }
  const tiles = data.spectrogram.tiles.map((source) => {
    const picture = new Image();
    picture.addEventListener("load", draw);
    picture.src = source;
    return picture;
  });
  const duration = () => (Number.isFinite(sound.duration) ? sound.duration : data.duration_s);

  const probability = (model, index, time) => {
    const hop = Math.round((time - model.start_s) / model.step_s);
    const inside = Math.min(Math.max(hop, 0), model.hops - 1);
    return model.hops ? model.level[inside * model.classes.length + index] / 255 : 0;
  };
  const holds = (model, time) => model.segments.filter(([, start, end]) => start <= time && time < end);

  function sized(canvas, height) {
    const dense = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const [w, h] = [Math.max(1, Math.round(width * dense)), Math.round(height * dense)];
    if (canvas.width !== w || canvas.height !== h) {
      [canvas.width, canvas.height] = [w, h];
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, width, height);
    return [pen, width];
  }

  function drawSpectrogram(pen, width, first, scale) {
    const { columns_per_s, start_s, tile_columns } = data.spectrogram;
    pen.fillStyle = "rgb(11 12 28)";
    pen.fillRect(0, 0, width, SPECTROGRAM);
    const left = (first - start_s) * columns_per_s;
    const right = left + (width / scale) * columns_per_s;
    tiles.forEach((tile, i) => {
      if (!tile.complete || !tile.naturalWidth) return;
      const from = Math.max(left, i * tile_columns);
      const to = Math.min(right, i * tile_columns + tile.naturalWidth);
      if (to <= from) return;
      const x = ((from - left) / columns_per_s) * scale;
      const wide = ((to - from) / columns_per_s) * scale;
      pen.drawImage(tile, from - i * tile_columns, 0, to - from, tile.naturalHeight, x, 0, wide, SPECTROGRAM);
    });
  }

  function drawLane(pen, width, top, model, index, first, scale) {
    const colour = model.colours[index];
    pen.fillStyle = colour;
    pen.globalAlpha = 0.28;
    for (const [klass, start, end] of model.segments) {
      if (klass !== index) continue;
      const [x, to] = [Math.max(0, (start - first) * scale), Math.min(width, (end - first) * scale)];
      if (to > x) pen.fillRect(x, top + 1, to - x, LANE - 2);
    }
    pen.globalAlpha = 1;
    pen.beginPath();
    pen.moveTo(0, top + LANE - 1);
    for (let x = 0; x <= width; x += 2) {
      const time = first + x / scale;
      const p = time < 0 || time > data.duration_s ? 0 : probability(model, index, time);
      pen.lineTo(x, top + LANE - 1 - p * (LANE - 4));
    }
    pen.lineTo(width, top + LANE - 1);
    pen.fill();
  }

  function drawView(time) {
    const rows = data.models.reduce((sum, model) => sum + HEADING + LANE * model.lanes.length, 0);
    const [pen, width] = sized(view, SPECTROGRAM + rows + 8);
    const scale = width / seconds;
    const first = time - PRESENT * seconds;
    const colours = getComputedStyle(document.documentElement);
    drawSpectrogram(pen, width, first, scale);
    let top = SPECTROGRAM;
    for (const model of data.models) {
      top += HEADING;
      for (const { index } of model.lanes) {
        drawLane(pen, width, top, model, index, first, scale);
        pen.fillStyle = colours.getPropertyValue("--line");
        pen.fillRect(0, top + LANE - 1, width, 1);
        top += LANE;
      }
    }
    pen.font = "11px system-ui, sans-serif";
    const every = [0.5, 1, 2, 5, 10, 20].find((step) => step * scale > 60) || 60;
    for (let mark = Math.max(0, Math.ceil(first / every) * every); mark < first + seconds; mark += every) {
      if (mark > data.duration_s) break;
      const x = (mark - first) * scale;
      pen.fillStyle = colours.getPropertyValue("--soft");
      pen.fillRect(x, SPECTROGRAM, 1, 5);
      pen.fillText(clock(mark), x + 4, SPECTROGRAM + 13);
    }
    pen.fillStyle = "rgb(255 255 255 / 0.9)";
    pen.fillRect(PRESENT * width - 1, 0, 2, SPECTROGRAM);
    pen.fillStyle = colours.getPropertyValue("--ink");
    pen.fillRect(PRESENT * width - 1, SPECTROGRAM, 2, rows + 8);
  }

  function drawStrip() {
    const [pen, width] = sized(strip, STRIP * data.models.length + 14);
    data.models.forEach((model, i) => {
      for (const [klass, start, end] of model.segments) {
        pen.fillStyle = model.colours[klass];
        const x = (start / duration()) * width;
        pen.fillRect(x, 7 + i * STRIP, Math.max(1, (end / duration()) * width - x), STRIP - 2);
      }
    });
  }

  const clock = (time) => {
    const text = (time % 60).toFixed(1).padStart(4, "0");
    return `${Math.floor(time / 60)}:${text}`;
  };

  function draw() {
    const time = sound.currentTime;
    drawView(time);
    document.getElementById("cursor").style.left = `${(100 * time) / duration()}%`;
    document.getElementById("time").textContent = `${clock(time)} / ${clock(duration())}`;
    overview.setAttribute("aria-valuenow", time.toFixed(1));
    for (const model of data.models) {
      const now = holds(model, time).map(([klass]) => klass);
      model.nowLine.textContent = now.map((klass) => model.classes[klass]).join(", ") || "–";
      for (const { index, row } of model.lanes) {
        row.classList.toggle("on", now.includes(index));
        row.querySelector("b").textContent = `${Math.round(100 * probability(model, index, time))} %`;
      }
    }
  }

  function follow() {
    draw();
    if (!sound.paused) requestAnimationFrame(follow);
  }

  const seek = (time) => {
    sound.currentTime = Math.min(Math.max(0, time), duration());
    draw();
  };
  const toggle = () => (sound.paused ? sound.play() : sound.pause());

  play.addEventListener("click", toggle);
  sound.addEventListener("play", () => {
    play.textContent = "❚❚";
    play.setAttribute("aria-label", "pause");
    follow();
  });
  sound.addEventListener("pause", () => {
    play.textContent = "▶";
    play.setAttribute("aria-label", "play");
    draw();
  });
  for (const event of ["seeked", "timeupdate"]) sound.addEventListener(event, draw);
  const whole = () => {
    drawStrip();
    draw();
  };
  sound.addEventListener("loadedmetadata", () => {
    // page.html#t=12.5 opens at that second.
    const [, start] = location.hash.match(/^#t=([\d.]+)$/) || [];
    if (start) seek(Number(start));
    whole();
  });
  overview.addEventListener("click", (event) => {
    const box = overview.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * duration());
  });
  view.addEventListener("click", (event) => {
    const box = view.getBoundingClientRect();
    seek(sound.currentTime + ((event.clientX - box.left) / box.width - PRESENT) * seconds);
  });
  const keys = {
    " ": toggle,
    ArrowLeft: (event) => seek(sound.currentTime - (event.shiftKey ? 0.2 : 2)),
    ArrowRight: (event) => seek(sound.currentTime + (event.shiftKey ? 0.2 : 2)),
    Home: () => seek(0),
    End: () => seek(duration()),
    "+": () => zoom(1 / 1.5),
    "-": () => zoom(1.5),
  };
  const zoom = (factor) => {
    seconds = Math.min(60, Math.max(1, seconds * factor));
    draw();
  };
  document.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(event);
  });
  new ResizeObserver(whole).observe(view);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", whole);
  whole();
})();
