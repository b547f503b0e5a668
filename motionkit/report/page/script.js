"use strict";
const root = document.documentElement;
const data = JSON.parse(document.getElementById("data").textContent);

// ---- theme: address (#dark, #light), then the reader's last choice, then the system's
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");
let drawAll = () => {};
function remembered() {
  try { return localStorage.getItem("motionkit-theme"); } catch { return null; }
}
function setTheme(theme) {
  root.dataset.theme = theme;
  themeButton.textContent = theme === "dark" ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `Switch to the ${theme === "dark" ? "light" : "dark"} theme`);
  drawAll();
}
function chosenTheme() {
  const asked = location.hash.slice(1);
  if (asked === "dark" || asked === "light") return asked;
  return remembered() || (systemDark.matches ? "dark" : "light");
}
setTheme(chosenTheme());
systemDark.addEventListener("change", () => { if (!remembered()) setTheme(chosenTheme()); });
window.addEventListener("hashchange", () => {
  if (["#dark", "#light"].includes(location.hash)) setTheme(chosenTheme());
});
themeButton.addEventListener("click", () => {
  const theme = root.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("motionkit-theme", theme); } catch { /* kept for this visit only */ }
  setTheme(theme);
});

// ---- values under the pointer in the training curves
const tip = document.getElementById("tip");
function nearest(line, x) {
  let best = 0;
  for (let i = 1; i < line.x.length; i++) {
    if (Math.abs(line.x[i] - x) < Math.abs(line.x[best] - x)) best = i;
  }
  return best;
}
document.querySelectorAll("[data-chart]").forEach((svg) => {
  const chart = data.charts[svg.dataset.chart];
  const cross = svg.querySelector(".cross");
  let at = null;
  function show(x) {
    at = Math.min(chart.right, Math.max(chart.left, x));
    const first = chart.lines[0];
    const snapped = first.x[nearest(first, at)];
    const rows = chart.lines.map((line) => {
      const i = nearest(line, snapped);
      return `${line.name}: ${line.value[i]}`;
    });
    tip.textContent = [`step ${first.step[nearest(first, at)].toLocaleString("en")}`, ...rows].join("\n");
    cross.setAttribute("x1", snapped);
    cross.setAttribute("x2", snapped);
    cross.style.visibility = "visible";
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    tip.style.display = "block";
    const left = box.left + snapped * scale + 12;
    tip.style.left = `${Math.min(left, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(4, Math.min(box.top + 10, innerHeight - tip.offsetHeight - 4))}px`;
  }
  function hide() { tip.style.display = "none"; cross.style.visibility = "hidden"; }
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    show(((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width);
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("focus", () => show(at === null ? chart.right : at));
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") hide();
    if (!turn) return;
    event.preventDefault();
    const line = chart.lines[0];
    const next = Math.min(line.x.length - 1, Math.max(0, nearest(line, at) + turn));
    show(line.x[next]);
  });
});

// ---- motions: joints in millimetres, y up; drag or arrow keys turn the view
const bones = data.skeleton.parents.map((parent, joint) => [parent, joint]).filter(([p]) => p >= 0);
function sideOf(joint) {
  const name = data.skeleton.joints[joint];
  return name.startsWith("left") ? "left" : name.startsWith("right") ? "right" : "middle";
}
// A film's clock: a button, a slider, and frame after frame while `seen` is in sight. `show` draws
// a frame; the film plays at once, unless the reader's system asks for less motion.
function makeClock({ button, slider, seen, fps, length, start, show }) {
  let frame = start, playing = false, visible = false, last = 0;
  function tick(now) {
    if (!playing || !visible) return;
    if (now - last >= 1000 / fps) {
      const steps = Math.min(4, Math.floor(((now - last) * fps) / 1000));
      frame = (frame + steps) % length;
      last = now;
      show(frame);
    }
    requestAnimationFrame(tick);
  }
  function go() { last = performance.now(); requestAnimationFrame(tick); }
  function play(on) {
    playing = on;
    button.textContent = on ? "Pause" : "Play";
    if (on) go();
  }
  button.addEventListener("click", () => play(!playing));
  slider.addEventListener("input", () => { play(false); frame = Number(slider.value); show(frame); });
  new IntersectionObserver(([entry]) => {
    const before = visible;
    visible = entry.isIntersecting;
    if (visible && !before && playing) go();
  }).observe(seen);
  show(frame);
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) play(true);
  return { toggle: () => play(!playing) };
}
const HEAD = 165, LIMB = 60;  // millimetres
function makePlayer(box) {
  const motion = data.motions[Number(box.dataset.motion)];
  const canvas = box.querySelector("canvas");
  const button = box.querySelector("button");
  const slider = box.querySelector("input");
  const output = box.querySelector("output");
  const joints = motion.joints;
  const frames = joints.length / 72;
  let frame = 0, turn = 0.55, tilt = 0.16;
  // What the view must hold: an upright cylinder round every frame, from the floor to the top of
  // the head. HEAD and LIMB are how far the drawing reaches beyond a joint.
  let top = HEAD, low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  for (let i = 0; i < joints.length; i += 3) {
    top = Math.max(top, joints[i + 1] + (i % 72 === 45 ? HEAD : LIMB));
    if (i % 72 === 0) {
      low = [Math.min(low[0], joints[i]), Math.min(low[1], joints[i + 2])];
      high = [Math.max(high[0], joints[i]), Math.max(high[1], joints[i + 2])];
    }
  }
  const still = [(low[0] + high[0]) / 2, top / 2, (low[1] + high[1]) / 2];
  // A long way is followed softly, so that the person stays large and the floor moves.
  function followed(f) {
    let x = 0, z = 0, n = 0;
    for (let k = Math.max(0, f - 12); k <= Math.min(frames - 1, f + 12); k++, n++) {
      x += joints[k * 72];
      z += joints[k * 72 + 2];
    }
    return [x / n, top / 2, z / n];
  }
  function radius(centre) {
    let wide = 0;
    for (let f = 0; f < frames; f++) {
      const [x, , z] = centre(f);
      for (let j = 0; j < 24; j++) {
        const i = f * 72 + j * 3;
        const beyond = j === 15 ? HEAD : LIMB;
        wide = Math.max(wide, Math.hypot(joints[i] - x, joints[i + 2] - z) + beyond);
      }
    }
    return wide;
  }
  const follows = radius(() => still) > 0.8 * top;
  const centreOf = follows ? followed : () => still;
  const wide = radius(centreOf);
  const reach = Math.hypot(wide, top / 2);
  const far = 4.2 * reach;
  let middle = centreOf(0);
  // Where a point at (across, near, height over the centre) comes to lie, before the zoom.
  function seen(across, near, dy) {
    const depth = near * Math.cos(tilt) + dy * Math.sin(tilt);
    const scale = far / (far - depth);
    return [across * scale, (dy * Math.cos(tilt) - near * Math.sin(tilt)) * scale, depth, scale];
  }
  // The zoom and shift at which the cylinder fills the canvas: the same from every side.
  function fit(w, h) {
    let side = 0, bottom = Infinity, above = -Infinity;
    for (let k = 0; k < 48; k++) {
      const angle = (k * Math.PI) / 24;
      for (const dy of [-top / 2, top / 2]) {
        const [x, y] = seen(wide * Math.cos(angle), wide * Math.sin(angle), dy);
        side = Math.max(side, x);
        bottom = Math.min(bottom, y);
        above = Math.max(above, y);
      }
    }
    const zoom = 0.9 * Math.min(w / (2 * side), h / (above - bottom));
    return { w, h, zoom, base: h / 2 + (zoom * (above + bottom)) / 2 };
  }
  function project(x, y, z, view) {
    const [dx, dy, dz] = [x - middle[0], y - middle[1], z - middle[2]];
    const across = dx * Math.cos(turn) + dz * Math.sin(turn);
    const near = -dx * Math.sin(turn) + dz * Math.cos(turn);
    const [a, b, depth, scale] = seen(across, near, dy);
    return [view.w / 2 + a * view.zoom, view.base - b * view.zoom, depth, scale * view.zoom];
  }
  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const box2 = canvas.getBoundingClientRect();
    if (!box2.width) return;
    const width = Math.round(box2.width * ratio), height = Math.round(box2.height * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const g = canvas.getContext("2d");
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    middle = centreOf(frame);
    const size = fit(width, height);
    g.clearRect(0, 0, width, height);
    g.lineCap = "round";
    // The floor: squares of half a metre round the motion.
    const cell = 500, half = Math.ceil((reach * 1.8) / cell);
    const cx = Math.round(middle[0] / cell), cz = Math.round(middle[2] / cell);
    g.strokeStyle = colour("line");
    g.lineWidth = Math.max(1, ratio * 0.75);
    g.beginPath();
    for (let i = -half; i <= half; i++) {
      for (const [a, b] of [[[i, -half], [i, half]], [[-half, i], [half, i]]]) {
        const p = project((cx + a[0]) * cell, 0, (cz + a[1]) * cell, size);
        const q = project((cx + b[0]) * cell, 0, (cz + b[1]) * cell, size);
        g.moveTo(p[0], p[1]);
        g.lineTo(q[0], q[1]);
      }
    }
    g.stroke();
    const at = (f, j) => joints.slice(f * 72 + j * 3, f * 72 + j * 3 + 3);
    // The way of the pelvis on the floor.
    g.strokeStyle = colour("accent");
    g.lineWidth = 1.6 * ratio;
    g.lineJoin = "round";
    g.beginPath();
    for (let f = 0; f <= frame; f++) {
      const p = project(joints[f * 72], 0, joints[f * 72 + 2], size);
      if (f) g.lineTo(p[0], p[1]); else g.moveTo(p[0], p[1]);
    }
    g.stroke();
    const points = data.skeleton.joints.map((_, j) => project(...at(frame, j), size));
    g.fillStyle = colour("line");
    g.globalAlpha = 0.7;
    for (const j of [0, 7, 8]) {  // soft shadows under pelvis and feet
      const [x, , z] = at(frame, j);
      const p = project(x, 0, z, size);
      const r = (j ? 75 : 150) * p[3];
      g.beginPath();
      g.ellipse(p[0], p[1], r, r * Math.max(0.18, Math.abs(Math.sin(tilt))), 0, 0, 7);
      g.fill();
    }
    g.globalAlpha = 1;
    const order = bones.map(([p, j]) => [p, j, points[p][2] + points[j][2]]).sort((a, b) => a[2] - b[2]);
    for (const [p, j] of order) {
      for (const outline of [true, false]) {
        g.strokeStyle = outline ? colour("stage") : colour(sideOf(j));
        g.lineCap = outline ? "butt" : "round";  // a round outline would cut the bone before it
        g.lineWidth = Math.max(2, 58 * points[j][3]) + (outline ? 3 * ratio : 0);
        g.beginPath();
        g.moveTo(points[p][0], points[p][1]);
        g.lineTo(points[j][0], points[j][1]);
        g.stroke();
      }
    }
    g.fillStyle = colour("middle");
    g.beginPath();
    const head = project(at(frame, 15)[0], at(frame, 15)[1] + 60, at(frame, 15)[2], size);
    g.arc(head[0], head[1], 100 * head[3], 0, 7);
    g.fill();
    slider.value = String(frame);
    output.textContent = `${(frame / motion.fps).toFixed(1)} / ${((frames - 1) / motion.fps).toFixed(1)} s`;
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const from = [event.clientX, event.clientY, turn, tilt];
    const move = (e) => {
      turn = from[2] + (e.clientX - from[0]) * 0.01;
      tilt = Math.min(1.4, Math.max(-0.3, from[3] + (e.clientY - from[1]) * 0.01));
      draw();
    };
    const end = () => {
      canvas.removeEventListener("pointermove", move);
      canvas.removeEventListener("pointerup", end);
      canvas.removeEventListener("pointercancel", end);
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
  });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (event.key === " ") { event.preventDefault(); clock.toggle(); }
    if (!by) return;
    event.preventDefault();
    turn += by[0];
    tilt = Math.min(1.4, Math.max(-0.3, tilt + by[1]));
    draw();
  });
  new ResizeObserver(draw).observe(canvas);
  const clock = makeClock({
    button, slider, seen: canvas, fps: motion.fps, length: frames, start: Math.floor(frames / 3),
    show: (f) => { frame = f; draw(); },
  });
  return draw;
}
const players = [...document.querySelectorAll("[data-motion]")].map(makePlayer);
drawAll = () => players.forEach((draw) => draw());

// ---- trajectories: the places are read out of the paths, points and nets move along them
function readWays(svg) {  // [point][frame] of [x, y], column after column
  const ways = [];
  for (const path of svg.querySelectorAll(".trail")) {
    for (const part of path.getAttribute("d").split("M").slice(1)) {
      const [start, steps] = part.split("l");
      let [x, y] = start.split(",").map(Number);
      const way = [[x, y]];
      for (const step of steps ? steps.split(" ") : []) {
        const [dx, dy] = step.split(",").map(Number);
        x += dx;
        y += dy;
        way.push([x, y]);
      }
      ways.push(way);
    }
  }
  return ways;
}
const TAIL = 7;  // frames of a trail that are drawn strongly
function makeWay(svg) {
  const ways = readWays(svg);
  const rows = Number(svg.dataset.rows), columns = ways.length / rows;
  const frames = ways[0].length;
  const hidden = svg.dataset.hidden || "";
  const dots = [...svg.querySelectorAll("circle")];
  const now = svg.querySelector(".now");
  const tails = [...svg.querySelectorAll(".trail")].map((trail) => {
    const tail = trail.cloneNode();
    tail.setAttribute("class", trail.getAttribute("class").replace("trail", "tail"));
    now.before(tail);
    return tail;
  });
  const text = (point, f) => ways[point][f].join(",");
  function net(f) {
    const lines = [];
    for (let row = 0; row < rows; row++) {
      lines.push(Array.from({ length: columns }, (_, column) => text(column * rows + row, f)));
    }
    for (let column = 0; column < columns; column++) {
      lines.push(Array.from({ length: rows }, (_, row) => text(column * rows + row, f)));
    }
    return lines.map((line) => `M${line.join("L")}`).join("");
  }
  function show(f) {
    dots.forEach((dot, point) => {
      dot.setAttribute("cx", ways[point][f][0]);
      dot.setAttribute("cy", ways[point][f][1]);
      dot.classList.toggle("hidden-point", hidden[point * frames + f] === "1");
    });
    now.setAttribute("d", net(f));
    tails.forEach((tail, column) => {
      let path = "";
      for (let row = 0; row < rows; row++) {
        const part = ways[column * rows + row].slice(Math.max(0, f - TAIL), f + 1);
        path += `M${part.map((place) => place.join(",")).join("L")}`;
      }
      tail.setAttribute("d", path);
    });
  }
  return { frames, net, show, ghost: svg.querySelector(".ghost") };
}
document.querySelectorAll("[data-trails]").forEach((box) => {
  const button = box.querySelector("button"), slider = box.querySelector("input");
  const output = box.querySelector("output");
  const [first, ...others] = [...box.querySelectorAll("svg.way")].map(makeWay);
  const frames = first.frames, total = Number(box.dataset.trails);
  const WAIT = 8;  // frames that the end stands still
  let frame = frames - 1;
  slider.max = String(frames - 1);
  function draw() {
    const f = Math.min(frame, frames - 1);
    first.show(f);
    for (const other of others) {
      other.show(f);
      other.ghost.setAttribute("d", first.net(f));
    }
    slider.value = String(f);
    const stands = frames > 1 ? Math.round((f * (total - 1)) / (frames - 1)) : 0;
    output.textContent = `frame ${stands + 1} / ${total}`;
  }
  makeClock({
    button, slider, seen: box, fps: 15, length: frames + WAIT, start: frames - 1,
    show: (f) => { frame = f; draw(); },
  });
});
