// One interactive figure for three hosts.  `model` is anywidget's in a kernel and page.mjs's on the site.
import { fill, human, unpack } from './data.mjs';
import { drawHeat, drawLines, drawPath, svg } from './draw.mjs';

function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// σ_w with the w below the line
const subscripts = text =>
  text
    .split(/_(?=\w\b)/)
    .flatMap((part, i) => (i ? [html('sub', {}, part[0]), part.slice(1)] : [part]));

const REST = 700; // ms

let count = 0;
const near = (values, v) =>
  values.reduce((best, w, i) => (Math.abs(w - v) < Math.abs(values[best] - v) ? i : best), 0);

export function mount({ model, el }) {
  const spec = model.get('_spec'),
    grid = unpack(model.get('_data')),
    id = `gb${++count}`;
  const position = () => Object.fromEntries(spec.controls.map(c => [c.name, model.get(c.name)]));
  const onGrid = () => spec.controls.every(c => c.values.includes(model.get(c.name)));
  const move = changes => {
    for (const [axis, value] of Object.entries(changes)) model.set(axis, value);
    model.save_changes();
  };

  const controls = spec.controls.map(c => (typeof c.values[0] === 'string' ? choice : slider)(c));
  const caption = html('p', { class: 'gb-caption' });
  const said = html('p', { class: 'gb-said', role: 'status' });
  const busy = html('p', { class: 'gb-busy', role: 'status' });
  const views = spec.views.map((view, i) => ({
    view,
    root: svg('svg', { role: 'img', id: `${id}-view${i}`, class: `gb-view gb-${view.kind}` }),
    key: html('p', { class: 'gb-key', 'aria-hidden': 'true' }),
  }));
  const stage = html(
    'div',
    { class: 'gb-stage' },
    ...views.map(v => html('div', {}, v.key, v.root)),
  );
  const buttons = html('div', { class: 'gb-buttons' });
  el.classList.add('gb-live');
  el.setAttribute('role', 'group');
  el.setAttribute('aria-labelledby', `${id}-title`);
  el.replaceChildren(
    html('p', { class: 'gb-title', id: `${id}-title` }, spec.title),
    html('div', { class: 'gb-controls' }, ...controls.map(c => c.element)),
    stage,
    caption,
    said,
    busy,
    buttons,
  );
  let playing = null,
    silence = null;
  addButtons();

  // the caption is read out once, after a rest, and not while the figure plays
  function say() {
    clearTimeout(silence);
    if (!playing)
      silence = setTimeout(() => {
        if (said.textContent !== caption.textContent) said.textContent = caption.textContent;
      }, REST);
  }

  function slider(c) {
    // in a kernel that computes, the slider has every value; elsewhere it has those that were computed
    const free = model.live && c.fine;
    const input = html('input', {
      type: 'range',
      id: `${id}-${c.name}`,
      ...(free
        ? { min: Math.min(...c.values), max: Math.max(...c.values), step: c.fine }
        : { min: 0, max: c.values.length - 1, step: 1 }),
    });
    const output = html('output', { for: input.id, 'aria-live': 'off' }); // aria-valuetext speaks
    const value = () => (free ? +input.value : c.values[+input.value]);
    input.oninput = () => {
      if (c.values.includes(value())) move({ [c.name]: value() });
      else output.textContent = human(value());
    };
    input.onchange = () => move({ [c.name]: value() });
    const element = html(
      'div',
      { class: 'gb-control' },
      html('label', { for: input.id }, ...subscripts(c.label), ' = ', output),
      input,
    );
    return {
      element,
      show() {
        const v = model.get(c.name);
        input.value = free ? v : near(c.values, v);
        output.textContent = human(v);
        input.setAttribute('aria-valuetext', human(v));
      },
    };
  }

  function choice(c) {
    const inputs = c.values.map(v =>
      html('input', {
        type: 'radio',
        name: `${id}-${c.name}`,
        value: v,
        onchange: () => move({ [c.name]: v }),
      }),
    );
    const element = html(
      'fieldset',
      { class: 'gb-control' },
      html('legend', {}, ...subscripts(c.label)),
      ...inputs.map((input, i) =>
        html(
          'label',
          {},
          input,
          ' ',
          ...subscripts(c.values[i]).map(part => part.replaceAll?.('_', ' ') ?? part),
        ),
      ),
    );
    return {
      element,
      show: () =>
        inputs.forEach((input, i) => {
          input.checked = c.values[i] === model.get(c.name);
        }),
    };
  }

  function addButtons() {
    const first = position();
    let stop = () => {};
    if (spec.play) {
      const { values, label } = spec.controls.find(c => c.name === spec.play);
      const button = html('button', {
        type: 'button',
        onclick() {
          if (playing) return stop();
          if (model.get(spec.play) === values.at(-1)) move({ [spec.play]: values[0] });
          button.textContent = '❚❚ Pause';
          clearTimeout(silence);
          playing = setInterval(() => {
            const next = values.find(v => v > model.get(spec.play));
            if (next === undefined || !el.isConnected) stop();
            else move({ [spec.play]: next });
          }, 500);
        },
      });
      stop = () => {
        clearInterval(playing);
        if (playing) setTimeout(say);
        playing = null;
        button.replaceChildren('▶ Play ', ...subscripts(label.split(/[,(]/)[0].trim()));
      };
      stop();
      buttons.append(button);
    }
    const reset = () => {
      stop();
      move(first);
    };
    buttons.append(html('button', { type: 'button', onclick: reset }, '↺ Reset'));
    if (model.link) {
      const button = html(
        'button',
        {
          type: 'button',
          async onclick() {
            const copied = await model.link(position());
            button.textContent = copied ? '✓ Link copied' : '✓ Link is in the address bar';
            setTimeout(() => {
              button.textContent = 'Link to this position';
            }, 2000);
          },
        },
        'Link to this position',
      );
      buttons.append(button);
    }
  }

  // what is drawn: the grid where it holds the position, else what the kernel computed, else the nearest grid point
  function source() {
    const here = position(),
      live = model.get('_live');
    if (!onGrid() && live && spec.controls.every(c => live.position[c.name] === here[c.name])) {
      const data = unpack(live.data);
      return { at: name => (name in here ? here[name] : data.at(name, {})), exact: true };
    }
    const place = Object.fromEntries(
      spec.controls.map(c => [
        c.name,
        c.values.includes(here[c.name])
          ? c.values.indexOf(here[c.name])
          : near(c.values, here[c.name]),
      ]),
    );
    return { at: name => grid.at(name, place), exact: onGrid(), place };
  }

  let nearest = {};
  function draw() {
    const { at, exact, place } = source();
    nearest = place ?? nearest;
    const notes = spec.notes
      .filter(([quantity]) => at(quantity) > 0)
      .map(([, text]) => fill(text, at));
    const words = [...spec.caption.map(text => fill(text, at)), ...notes]
      .filter(text => !text.includes('undefined'))
      .join(' ');
    caption.replaceChildren(...subscripts(words));
    for (const c of controls) c.show();
    stage.classList.toggle('gb-waiting', !exact);
    const widths = views.map(({ root }) =>
      Math.max(220, Math.min(root.parentElement.clientWidth || 640, 900)),
    ); // read before anything is drawn
    for (const [i, { view, root, key }] of views.entries()) {
      const size = {
        width: widths[i],
        height: Math.round(Math.min(320, Math.max(250, widths[i] * 0.5))),
      };
      const entries =
        view.kind === 'heat'
          ? drawHeat(root, view, { grid, place: nearest, label: grid.label, size, choose: move })
          : view.kind === 'path'
            ? drawPath(root, view, { at, label: grid.label, colors: spec.colors, size })
            : drawLines(root, view, {
                at,
                has: grid.has,
                label: grid.label,
                colors: spec.colors,
                note: notes[0]?.split(/[:.]/)[0],
                size,
              });
      root.setAttribute(
        'aria-label',
        `${root.dataset.axes}. ${entries.map(e => e.text + (e.ends ? `: ${e.ends}` : '')).join('; ')}.`,
      );
      key.replaceChildren(
        ...entries.map(({ mark, color, text }) =>
          html('span', {}, html('b', { style: `color:${color}` }, mark), ` ${text}`),
        ),
      );
    }
  }

  let clock = null;
  function wait() {
    clearInterval(clock);
    const asked = model.get('_asked');
    busy.replaceChildren();
    if (!asked) return draw();
    const began = Date.now();
    clock = setInterval(() => {
      const seconds = Math.round((Date.now() - began) / 1000);
      if (seconds >= 1)
        busy.replaceChildren(
          html('progress', { 'aria-label': 'computing' }),
          ` computing this position: ${seconds} s`,
        );
    }, 250);
  }

  draw();
  const events = [...spec.controls.map(c => `change:${c.name}`), 'change:_live'];
  const changed = () => {
    draw();
    say();
  };
  for (const event of events) model.on(event, changed);
  model.on('change:_asked', wait);
  const resize = new ResizeObserver(draw);
  resize.observe(stage);
  return () => {
    resize.disconnect();
    clearInterval(clock);
    clearTimeout(silence);
    for (const event of events) model.off(event, changed);
    model.off('change:_asked', wait);
  };
}

export default {
  render({ model, el }) {
    const spec = model.get('_spec');
    // arrow keys are the sliders': JupyterLab listens above the figure, Notebook 7 before it
    el.addEventListener('keydown', event => event.stopPropagation());
    el.addEventListener('focusin', event =>
      event.target.setAttribute('data-lm-suppress-shortcuts', 'true'),
    );
    return mount({
      el,
      model: {
        get: k => model.get(k),
        set: (k, v) => model.set(k, v),
        save_changes: () => model.save_changes(),
        on: (e, f) => model.on(e, f),
        off: (e, f) => model.off(e, f),
        live: spec.live,
      },
    });
  },
};
