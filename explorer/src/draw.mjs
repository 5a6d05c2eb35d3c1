// The three views: lines (theory as a line, measurement as points), path over contours, and heat map.
import { scaleLinear, scaleLog } from 'd3-scale';
import { interpolateCividis } from 'd3-scale-chromatic';
import { line } from 'd3-shape';
import { human } from './data.mjs';

const SVG = 'http://www.w3.org/2000/svg';
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// σ_w with the w below the line
const words = text =>
  text
    .split(/_(?=\w\b)/)
    .flatMap((part, i) =>
      i
        ? [
            svg('tspan', { dy: 3, 'font-size': '75%' }, part[0]),
            svg('tspan', { dy: -3 }, part.slice(1) || '\u200b'),
          ]
        : [part],
    );

const usable = (v, log) => Number.isFinite(v) && (!log || v > 0);

function domain(values, log, fixed) {
  if (fixed) return fixed;
  const kept = values.filter(v => usable(v, log));
  if (!kept.length) return log ? [0.1, 10] : [0, 1];
  let [low, high] = [Math.min(...kept), Math.max(...kept)];
  if (!log)
    return low === high
      ? [low - 0.5, high + 0.5]
      : [low - (high - low) / 20, high + (high - low) / 20];
  [low, high] = [Math.floor(Math.log10(low) - 0.05), Math.ceil(Math.log10(high) + 0.05)];
  return [10 ** Math.max(low, -320), 10 ** Math.min(high, 308)];
}

function ticks(scale, log, count) {
  if (!log) return scale.ticks(count);
  const [low, high] = scale.domain().map(v => Math.round(Math.log10(v)));
  const every = Math.max(1, Math.ceil((high - low) / count));
  const first = Math.ceil(low / every); // multiples of `every`, so that 1 is among them
  return Array.from(
    { length: Math.floor(high / every) - first + 1 },
    (_, i) => 10 ** ((first + i) * every),
  );
}

function frame(root, { width, height, x, y, xTicks, yTicks, xlabel, ylabel }) {
  const left = 64,
    right = 12,
    top = 26,
    bottom = 42;
  x.range([left, width - right]);
  y.range([height - bottom, top]);
  root.replaceChildren();
  root.setAttribute('viewBox', `0 0 ${width} ${height}`);
  root.dataset.axes = [ylabel, xlabel].filter(Boolean).join(' over ');
  for (const [value, text] of yTicks(y)) {
    root.append(
      svg('line', { class: 'gb-grid', x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      svg(
        'text',
        { class: 'gb-tick', x: left - 7, y: y(value), dy: '.35em', 'text-anchor': 'end' },
        text,
      ),
    );
  }
  for (const [value, text] of xTicks(x)) {
    root.append(
      svg('line', { class: 'gb-grid', y1: top, y2: height - bottom, x1: x(value), x2: x(value) }),
      svg(
        'text',
        { class: 'gb-tick', x: x(value), y: height - bottom + 17, 'text-anchor': 'middle' },
        text,
      ),
    );
  }
  root.append(
    svg(
      'text',
      { class: 'gb-axis', x: (left + width - right) / 2, y: height - 6, 'text-anchor': 'middle' },
      ...words(xlabel),
    ),
    svg('text', { class: 'gb-axis', x: 4, y: 14 }, ...words(ylabel)),
  );
  return { left, right: width - right, top, bottom: height - bottom };
}

export function drawLines(root, view, { at, has, label, colors, note, size }) {
  const [xlog, ylog] = [view.xscale === 'log', view.yscale === 'log'];
  const xs = at(view.x);
  const series = view.points.map(name => ({
    name,
    y: at(name),
    low: has(`${name}_low`) && at(`${name}_low`),
    high: has(`${name}_high`) && at(`${name}_high`),
  }));
  const theory = view.lines.map((name, i) => ({
    name,
    color: colors[view.points[i] ?? name],
    y: at(name),
  }));
  const all = [
    ...series.flatMap(s => [...s.y, ...(s.low || []), ...(s.high || [])]),
    ...theory.flatMap(t => t.y),
  ];
  const x = (xlog ? scaleLog : scaleLinear)().domain(domain(xs, xlog));
  const y = (ylog ? scaleLog : scaleLinear)().domain(domain(all, ylog, view.ylim));
  const pairs = (log, count) => scale => ticks(scale, log, count).map(v => [v, human(v)]);
  const box = frame(root, {
    ...size,
    x,
    y,
    xTicks: pairs(xlog, Math.max(3, Math.floor(size.width / 90))),
    yTicks: pairs(ylog, 6),
    xlabel: view.xlabel || label(view.x),
    ylabel: view.ylabel,
  });
  const clamp = v => Math.min(Math.max(v, box.top), box.bottom);
  for (const { color, y: ys } of theory) {
    const path = line()
      .x((_, i) => x(xs[i]))
      .y(v => y(v))
      .defined((v, i) => usable(v, ylog) && usable(xs[i], xlog));
    root.append(svg('path', { class: 'gb-theory', stroke: color, d: path(ys) ?? '' }));
  }
  const marks = new Set();
  for (const [place, { name, y: ys, low, high }] of series.entries()) {
    const color = colors[name]; // the first quantity has dots, the others rings around them
    const look = place
      ? { class: 'gb-point', fill: 'none', stroke: color, 'stroke-width': 1.6, r: 5.5 }
      : { class: 'gb-point', fill: color, r: 3.4 };
    ys.forEach((v, i) => {
      if (!usable(xs[i], xlog) || Number.isNaN(v)) return;
      const px = x(xs[i]);
      if (usable(v, ylog)) {
        const edge = (bound, to) =>
          usable(bound, ylog) ? clamp(y(bound)) : bound === 0 || bound === Infinity ? to : y(v);
        if (low && high)
          root.append(
            svg('line', {
              class: 'gb-spread',
              stroke: color,
              x1: px,
              x2: px,
              y1: edge(low[i], box.bottom),
              y2: edge(high[i], box.top),
            }),
          );
        root.append(svg('circle', { ...look, cx: px, cy: y(v) }));
      } else {
        // exactly 0 on a logarithmic axis, or infinite: a mark at the edge
        const tip = v === Infinity ? box.top : box.bottom,
          base = v === Infinity ? 7 : -7;
        marks.add(v === Infinity ? '△ infinite' : '▽ exactly 0');
        root.append(
          svg('path', {
            class: 'gb-edge',
            stroke: color,
            d: `M${px - 4} ${tip + base}h8L${px} ${tip}z`,
          }),
        );
      }
    });
  }
  if (note)
    root.append(
      svg(
        'text',
        {
          class: 'gb-note',
          x: (box.left + box.right) / 2,
          y: box.top + 14,
          'text-anchor': 'middle',
        },
        note,
      ),
    );
  // for who hears the picture: where each series begins and ends
  const ends = ys => {
    const kept = xs.map((v, i) => [v, ys[i]]).filter(pair => pair.every(Number.isFinite));
    return kept.length
      ? [kept[0], kept.at(-1)].map(([v, w]) => `${human(w)} at ${human(v)}`).join(' to ')
      : 'nothing finite';
  };
  const sameWords = new Set(theory.map(t => label(t.name))).size === 1; // one entry for lines of one name
  return [
    ...series.map((s, i) => ({
      mark: i ? '○' : '●',
      color: colors[s.name],
      text: label(s.name),
      ends: ends(s.y),
    })),
    ...theory
      .slice(0, sameWords ? 1 : undefined)
      .map(t => ({ mark: '—', color: sameWords ? 'inherit' : t.color, text: label(t.name) })),
    ...[...marks].map(text => ({ mark: '', color: 'inherit', text })),
  ];
}

export function drawPath(root, view, { at, label, colors, size }) {
  const x = scaleLinear().domain(view.xlim),
    y = scaleLinear().domain(view.ylim);
  const pairs = count => scale => scale.ticks(count).map(v => [v, human(v)]);
  const box = frame(root, {
    ...size,
    x,
    y,
    xTicks: pairs(Math.max(3, Math.floor(size.width / 90))),
    yTicks: pairs(6),
    xlabel: view.xlabel || label(view.x),
    ylabel: view.ylabel || label(view.y),
  });
  const inside = svg(
    'clipPath',
    { id: `${root.id}-inside` },
    svg('rect', {
      x: box.left,
      y: box.top,
      width: box.right - box.left,
      height: box.bottom - box.top,
    }),
  );
  const group = svg('g', { 'clip-path': `url(#${inside.id})` });
  root.append(inside, group);
  const curve = (xs, ys) =>
    line()
      .x((_, i) => x(xs[i]))
      .y(v => y(v))
      .defined(
        (v, i) =>
          Number.isFinite(v) &&
          Number.isFinite(xs[i]) &&
          Math.abs(x(xs[i])) < 1e5 &&
          Math.abs(y(v)) < 1e5,
      )(ys) ?? '';
  if (view.contours)
    group.append(svg('path', { class: 'gb-contour', d: curve(...view.contours.map(at)) }));
  const [xs, ys, color] = [at(view.x), at(view.y), colors[view.x]];
  group.append(svg('path', { class: 'gb-theory', stroke: color, d: curve(xs, ys) }));
  xs.forEach((v, i) => {
    if (Number.isFinite(v) && Number.isFinite(ys[i]))
      group.append(
        svg('circle', {
          class: 'gb-point',
          fill: color,
          cx: Math.max(-1e4, Math.min(1e4, x(v))),
          cy: Math.max(-1e4, Math.min(1e4, y(ys[i]))),
          r: i ? 2.6 : 5,
        }),
      );
  });
  return [
    { mark: '●', color, text: view.key },
    ...(view.contours ? [{ mark: '○', color: 'inherit', text: 'equal loss' }] : []),
  ];
}

export function drawHeat(root, view, { grid, place, label, size, choose }) {
  const [xs, ys] = [grid.axes[view.x], grid.axes[view.y]];
  const value = (i, j) => grid.at(view.value, { ...place, [view.x]: i, [view.y]: j });
  const all = xs.flatMap((_, i) => ys.map((_, j) => value(i, j))).filter(Number.isFinite);
  const [low, high] = view.limits ?? [Math.min(...all), Math.max(...all)];
  const x = scaleLinear().domain([-0.5, xs.length - 0.5]),
    y = scaleLinear().domain([-0.5, ys.length - 0.5]);
  const some = (values, count) => () =>
    values
      .map((v, i) => [i, human(v)])
      .filter((_, i) => i % Math.ceil(values.length / count) === 0);
  frame(root, {
    ...size,
    x,
    y,
    xTicks: some(xs, size.width / 60),
    yTicks: some(ys, 8),
    xlabel: view.xlabel || label(view.x),
    ylabel: view.ylabel || label(view.y),
  });
  const [w, h] = [x(1) - x(0), y(0) - y(1)];
  const color = v => interpolateCividis(Math.min(Math.max((v - low) / (high - low || 1), 0), 1));
  for (const i of xs.keys()) {
    for (const j of ys.keys()) {
      const v = value(i, j),
        fill = Number.isFinite(v) ? color(v) : 'transparent';
      const at = { x: x(i) - w / 2, y: y(j) - h / 2, width: w + 0.5, height: h + 0.5 };
      root.append(svg('rect', { class: 'gb-cell', ...at, fill }));
    }
  }
  if (view.line) {
    const spot = v => {
      // place of a y value between the grid's rows
      const j = ys.findIndex(row => row >= v);
      return j < 0 || v < ys[0] ? NaN : j === 0 ? 0 : j - 1 + (v - ys[j - 1]) / (ys[j] - ys[j - 1]);
    };
    const curve = xs.map((_, i) => spot(grid.at(view.line, { ...place, [view.x]: i })));
    const d =
      line()
        .x((_, i) => x(i))
        .y(y)
        .defined(Number.isFinite)(curve) ?? '';
    root.append(
      svg('path', { class: 'gb-overlay gb-under', d }),
      svg('path', { class: 'gb-overlay', d }),
    ); // seen on dark and on bright cells
  }
  root.append(
    svg('rect', {
      class: 'gb-chosen',
      x: x(place[view.x]) - w / 2,
      y: y(place[view.y]) - h / 2,
      width: w,
      height: h,
    }),
  );
  root.onclick = event => {
    const { left, top, width, height } = root.getBoundingClientRect();
    const i = Math.round(x.invert(((event.clientX - left) * size.width) / width));
    const j = Math.round(y.invert(((event.clientY - top) * size.height) / height));
    if (xs[i] !== undefined && ys[j] !== undefined) choose({ [view.x]: xs[i], [view.y]: ys[j] });
  };
  return [
    { mark: '■', color: interpolateCividis(0), text: human(low) },
    { mark: '■', color: interpolateCividis(1), text: `${human(high)} ${label(view.value)}` },
    ...(view.line ? [{ mark: '—', color: 'inherit', text: label(view.line) }] : []),
  ];
}
