// Beside the page's script: nothing here is needed, it only saves a click.
(() => {
  const news = document.getElementById('news');
  const own = document.body.dataset.state;
  // Asks whether the ledger is another one by now; numbers never change under the reader.
  const look = async () => {
    if (document.hidden || !own) return;
    try {
      const told = await fetch('/state', {headers: {'If-None-Match': `"${own}"`}, cache: 'no-store'});
      if (told.status === 200 && (await told.text()).trim() !== `"${own}"`) news.hidden = false;
    } catch { /* asked again later */ }
  };
  if (own) { setInterval(look, 15000); document.addEventListener('visibilitychange', look); }
  for (const select of document.querySelectorAll('.bar select')) {
    select.addEventListener('change', () => select.form.requestSubmit());
  }
  for (const field of document.querySelectorAll('input[data-filters]')) {
    const rows = document.querySelectorAll(`#${field.dataset.filters} tbody tr`);
    field.addEventListener('input', () => {
      const wanted = field.value.toLowerCase();
      rows.forEach(row => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
    });
  }
})();
