// The site's host: every figure of the page gets a model that lives in the page, and a link to its position.
import { mount } from './explorer.mjs';

function model(state) {
  const listeners = {};
  const changed = new Set();
  return {
    get: key => state[key] ?? null,
    set(key, value) {
      if (state[key] !== value) {
        state[key] = value;
        changed.add(key);
      }
    },
    save_changes() {
      const keys = [...changed];
      changed.clear();
      for (const listener of new Set(keys.flatMap(key => listeners[`change:${key}`] ?? [])))
        listener();
    },
    on(event, listener) {
      listeners[event] = [...(listeners[event] ?? []), listener];
    },
    off(event, listener) {
      listeners[event] = (listeners[event] ?? []).filter(l => l !== listener);
    },
  };
}

// The position in '#name?depth=30&…', or null where it is damaged or not this figure's.
function linked(spec) {
  const [name, query] = location.hash.slice(1).split('?');
  if (name !== spec.name || !query) return null;
  const asked = new URLSearchParams(query),
    position = {};
  for (const { name: axis, values } of spec.controls) {
    const value = values.find(v => String(v) === asked.get(axis));
    if (value === undefined) return null;
    position[axis] = value;
  }
  return position;
}

function start(holder) {
  near.unobserve(holder);
  if (!waiting.delete(holder)) return;
  const state = JSON.parse(holder.querySelector('script[type="application/json"]').textContent);
  const spec = state._spec,
    figure = model(state),
    el = document.createElement('div');
  figure.link = async position => {
    history.replaceState(null, '', `#${spec.name}?${new URLSearchParams(position)}`);
    try {
      await navigator.clipboard.writeText(location.href);
      return true;
    } catch {
      return false;
    }
  };
  const follow = () => {
    const position = linked(spec);
    if (!position) return;
    for (const [axis, value] of Object.entries(position)) figure.set(axis, value);
    figure.save_changes();
    holder.scrollIntoView({ block: 'center' });
  };
  const still = holder.querySelector('.gb-still');
  still.replaceWith(el);
  try {
    mount({ model: figure, el });
  } catch (error) {
    // the picture stays, and so do the page's other figures
    el.replaceWith(still);
    console.warn(`figure ${spec.name}: ${error.message}`);
    return;
  }
  follow();
  addEventListener('hashchange', follow);
}

// A figure starts when the reader is a screen away from it or follows a link to it, at the latest after five seconds.
const waiting = new Set(document.querySelectorAll('.gb-explorer'));
const near = new IntersectionObserver(
  seen => {
    for (const s of seen) if (s.isIntersecting) start(s.target);
  },
  { rootMargin: '100%' },
);
const named = () => {
  for (const holder of waiting)
    if (holder.id === location.hash.slice(1).split('?')[0]) start(holder);
};
named();
addEventListener('hashchange', named);
for (const holder of waiting) near.observe(holder);
setTimeout(() => waiting.forEach(start), 5000);
