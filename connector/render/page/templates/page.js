'use strict';
(() => {
  const all = (q, of = document) => [...of.querySelectorAll(q)];
  const tip = document.getElementById('tip');
  document.documentElement.classList.add('js');

  // One currency and one segment at a time.
  for (const label of all('.pick')) label.hidden = false;
  const parts = all('.part');
  const currency = document.getElementById('currency');
  if (currency) {
    const choose = () => parts.forEach(p => p.classList.toggle('off', p.id !== currency.value));
    currency.addEventListener('change', choose);
    choose();
  }
  for (const pick of all('.segment')) {
    const views = all('.view', pick.closest('.part'));
    const choose = () => views.forEach((view, i) => {
      const on = i === Number(pick.value);
      view.classList.toggle('on', on);
      if (view.tagName === 'DETAILS') view.open = on;
    });
    pick.addEventListener('change', choose);
    choose();
  }

  // A chart's numbers where the pointer is, or with the arrow keys: from its table.
  const hide = () => { tip.style.opacity = 0; all('.cursor').forEach(c => c.remove()); };
  const show = (name, pairs, x, y) => {
    const head = document.createElement('b');
    head.textContent = name;
    tip.replaceChildren(head, ...pairs.map(([what, value]) => {
      const row = document.createElement('i');
      row.append(Object.assign(document.createElement('span'), {textContent: what}),
        Object.assign(document.createElement('span'), {textContent: value}));
      return row;
    }));
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(x - box.width / 2, innerWidth - box.width - 8)) + 'px';
    tip.style.top = (y - box.height - 14 < 0 ? y + 18 : y - box.height - 14) + 'px';
    tip.style.opacity = 1;
  };
  const told = (table, row) => {
    const heads = all('thead th', table).slice(1);
    const line = all('tbody tr:not(.was)', table)[row];
    const next = line.nextElementSibling;
    const before = next && next.matches('.was') ? all('td', next) : [];
    return all('td', line).map((cell, i) => {
      const [now, was] = [cell, before[i] || cell].map(c => c.textContent);
      return [heads[i].textContent, was === now ? now : `${now} (${document.body.dataset.was} ${was})`];
    });
  };
  for (const chart of all('[data-columns]')) {
    const svg = chart.querySelector('svg');
    const count = Number(chart.dataset.columns);
    const within = chart.dataset.table ? document.getElementById(chart.dataset.table) : chart;
    const table = within.querySelector('table');
    let at = count - 1;
    const point = (row, y) => {
      hide();
      at = Math.max(0, Math.min(count - 1, row));
      const cursor = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      const height = svg.querySelector('svg').getAttribute('height');
      for (const [k, v] of Object.entries({class: 'cursor', x: at * 100 / count + '%', y: 0, width: 100 / count + '%', height})) cursor.setAttribute(k, v);
      svg.append(cursor);
      const box = svg.getBoundingClientRect();
      const name = all('tbody tr:not(.was) th', table)[at].textContent;
      show(name, told(table, at), box.left + (at + .5) * box.width / count, y ?? box.top + 40);
    };
    svg.addEventListener('pointermove', e => {
      const box = svg.getBoundingClientRect();
      point(Math.floor((e.clientX - box.left) / box.width * count), e.clientY);
    });
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('focus', () => { if (svg.matches(':focus-visible')) point(at); });
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', e => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[e.key];
      if (step) { e.preventDefault(); point(at + step); }
    });
  }
  for (const heat of all('.heat')) {
    const heads = all('thead th', heat);
    const metric = heat.caption.textContent;
    heat.addEventListener('pointermove', e => {
      const cell = e.target.closest('td');
      if (!cell || cell.cellIndex < 3 || cell.textContent === '–') return hide();
      const row = cell.parentElement.cells;
      const said = heat.dataset;
      show(said.cohort.replace('{month}', row[0].textContent), [
        [said.after, heads[cell.cellIndex].textContent],
        [metric, cell.textContent + '%'],
        [said.of.replace('{mrr}', heads[2].textContent), row[2].textContent],
        [said.customers, row[1].textContent],
      ], e.clientX, e.clientY);
    });
    heat.addEventListener('pointerleave', hide);
  }
  addEventListener('keydown', e => { if (e.key === 'Escape') hide(); });
  addEventListener('scroll', hide, {passive: true});

  // On paper nothing can be opened.
  let opened = [];
  addEventListener('beforeprint', () => {
    hide();
    opened = all('details.numbers:not([open])');
    opened.forEach(d => { d.open = true; });
  });
  addEventListener('afterprint', () => opened.forEach(d => { d.open = false; }));
})();
