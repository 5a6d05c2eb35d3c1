// What the theme's own scripts leave undone on every page.

// the sidebar shows where the reader is, not where it stood on the page before
sessionStorage.removeItem('sidebar-scroll-top');

// formulas are copied as TeX
document.addEventListener('copy', event => {
  const selection = getSelection();
  if (selection.isCollapsed || !event.clipboardData) return;
  const range = selection.getRangeAt(0).cloneRange();
  const formula = node => (node.nodeType === 1 ? node : node.parentElement).closest('.katex');
  const first = formula(range.startContainer), last = formula(range.endContainer);
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  const copied = range.cloneContents();
  const formulas = [...copied.querySelectorAll('.katex')];
  if (!formulas.length) return;
  for (const katex of formulas) {
    const dollars = katex.closest('.katex-display') ? '$$' : '$';
    katex.replaceWith(dollars + katex.querySelector('annotation').textContent + dollars);
  }
  const words = document.createElement('div');
  words.append(copied);
  event.clipboardData.setData('text/plain', words.innerText.trim());
  event.clipboardData.setData('text/html', words.innerHTML);
  event.preventDefault();
});

// paper is white
let shown = null;
addEventListener('beforeprint', () => {
  shown = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = 'light';
});
addEventListener('afterprint', () => {
  document.documentElement.dataset.theme = shown;
});

addEventListener('DOMContentLoaded', () => {
  // a drawer closes when its reader has chosen, and by a button
  for (const side of ['primary', 'secondary']) {
    const sidebar = document.getElementById(`pst-${side}-sidebar`), dialog = document.getElementById(`pst-${side}-sidebar-modal`);
    if (!sidebar || !dialog) continue;
    const close = document.createElement('button');
    Object.assign(close, { className: 'gb-close', type: 'button', textContent: 'Close' });
    close.addEventListener('click', () => dialog.close());
    sidebar.prepend(close);
    dialog.addEventListener('click', event => event.target.closest('a') && dialog.open && dialog.close());
  }

  // what is wider than the page says on which side it goes on, and scrolls from the keyboard
  const wide = document.querySelectorAll('div.math.block, .highlight pre, .gb-replication, .pst-scrollable-table-container');
  const look = ({ target: e }) => {
    const more = [e.scrollLeft > 1 && 'left', e.scrollLeft + e.clientWidth < e.scrollWidth - 1 && 'right'].filter(Boolean);
    e.toggleAttribute('data-more', more.length);
    if (more.length) Object.assign(e, { tabIndex: 0 }).dataset.more = more.join(' ');
    else e.removeAttribute('tabindex');
  };
  const sizes = new ResizeObserver(seen => seen.forEach(look));
  for (const e of wide) {
    sizes.observe(e);
    e.addEventListener('scroll', look, { passive: true });
  }

  // what is far from the reader is laid out a little at a time, so that nobody waits for it (book.css)
  const far = [...document.querySelectorAll('.bd-article section section > :is(p, ul, ol, div, blockquote)')];
  const some = (n = 0) => {
    for (const e of far.slice(n, n + 2)) e.style.contentVisibility = 'visible';
    if (n < far.length) return soon(() => some(n + 2));
    for (const e of wide) look({ target: e });
    window.gbLaidOut = true;
  };
  const soon = window.requestIdleCallback ?? (f => setTimeout(f, 30));
  addEventListener('load', () => soon(() => some()));
});
