// The filters above the table of claims; a choice stands in the address, so that it can be linked to.
for (const box of document.querySelectorAll('.gb-claims')) {
  const selects = [...box.querySelectorAll('select')], rows = [...box.querySelectorAll('tbody tr')], count = box.querySelector('output');
  const show = () => {
    for (const row of rows) row.hidden = selects.some(s => s.value && row.dataset[s.dataset.filter] !== s.value);
    count.textContent = `${rows.filter(row => !row.hidden).length} claims`;
  };
  const asked = new URLSearchParams(location.search);
  for (const select of selects) {
    const wanted = asked.get(select.dataset.filter);
    if ([...select.options].some(o => o.value === wanted)) select.value = wanted;
    select.addEventListener('change', () => {
      const chosen = new URLSearchParams(selects.filter(s => s.value).map(s => [s.dataset.filter, s.value]));
      history.replaceState(null, '', `${location.pathname}${chosen.size ? `?${chosen}` : ''}`);
      show();
    });
  }
  box.querySelector('.gb-filters').hidden = false;
  show();
}
