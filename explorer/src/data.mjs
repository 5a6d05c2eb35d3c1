// Data sets as gradbook.record packs them, and numbers as gradbook.show.plot writes them.
import { unzlibSync } from 'fflate';

const TOP = 65530,
  ZERO = 65531,
  INF = 65532,
  NAN = 65533;

function numbers({ log, low, span, data }) {
  const bytes = unzlibSync(Uint8Array.from(atob(data), c => c.charCodeAt(0)));
  const n = bytes.length / 2; // all low bytes, then all high bytes
  return Float64Array.from({ length: n }, (_, i) => {
    const code = bytes[i] + 256 * bytes[n + i];
    if (code === ZERO) return 0;
    if (code === INF) return Infinity;
    if (code === NAN) return NaN;
    const value = low + (span * code) / TOP;
    return log ? Math.exp(value) : value;
  });
}

export function unpack({ axes, labels, values }) {
  const quantities = Object.fromEntries(
    Object.entries(values).map(([name, p]) => [
      name,
      { dims: p.dims, values: p.words ? p.codes.map(c => p.words[c]) : numbers(p) },
    ]),
  );

  // A quantity where `place` (axis -> index) fixes its axes: one value, or an array along the axis left free.
  function at(name, place) {
    if (axes[name]) return name in place ? axes[name][place[name]] : axes[name];
    const { dims, values: all } = quantities[name];
    let stride = 1,
      offset = 0,
      free = null;
    for (const dim of [...dims].reverse()) {
      if (dim in place) offset += place[dim] * stride;
      else free = { length: axes[dim].length, stride };
      stride *= axes[dim].length;
    }
    return free ? Array.from(free, (_, i) => all[offset + i * free.stride]) : all[offset];
  }
  return { axes, at, has: name => name in quantities, label: name => labels[name] ?? name };
}

export function human(value, digits = 3) {
  if (typeof value !== 'number') return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e5) return String(value).replace('-', '−');
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'undefined' : value < 0 ? '−∞' : '∞';
  const [mantissa, exponent] = value.toExponential(digits - 1).split('e');
  const trim = text => (text.includes('.') ? text.replace(/\.?0+$/, '') : text).replace('-', '−');
  if (+exponent >= -3 && +exponent < 5)
    return trim((+`${mantissa}e${exponent}`).toFixed(Math.max(digits - 1 - exponent, 0)));
  const power = String(+exponent).replace(/./g, c => (c === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[c]));
  return `${trim(mantissa)} × 10${power}`.replace(/^1 × /, '');
}

// A caption: {depth} and {growth:2} stand for values.
export const fill = (template, value) =>
  template.replace(/{(\w+):?(\d*)}/g, (_, name, digits) => human(value(name), +digits || 3));
