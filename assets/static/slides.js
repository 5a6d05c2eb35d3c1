// A clicker turns pages whatever was touched before: a figure gives up the focus after a touch.
for (const done of ['pointerup', 'click']) addEventListener(done, event => {
  const byKey = event.type === 'click' && !event.detail;
  if (!byKey && document.activeElement?.closest('.gb-explorer')) document.activeElement.blur();
});

// With the keyboard in a figure, PageDown and PageUp still turn pages, and Space on a button only presses it.
addEventListener('keydown', event => {
  const at = event.target;
  if (!at.closest?.('.gb-explorer')) return;
  if (event.key === 'PageDown' || event.key === 'PageUp') {
    at.blur();
    event.preventDefault();
    event.stopPropagation();
    if (event.key === 'PageDown') Reveal.next();
    else Reveal.prev();
  } else if (at.matches('button') && [' ', 'Enter'].includes(event.key)) event.stopPropagation();
}, true);
