'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const element = id => document.getElementById(id);
const make = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};
const unpack = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const number = value => value.toLocaleString('en');
const percent = (share, digits = 1) => (share * 100).toFixed(digits) + ' %';

const bytes = unpack(data.bytes), guesses = unpack(data.guesses), shares = unpack(data.shares);
const packed = unpack(data.costs);
const cost = i => ((packed[2 * i] | packed[2 * i + 1] << 8) & 0x7fff) / 64;
const asked = i => packed[2 * i + 1] > 127;
const limits = data.steps;
const step = bits => limits.filter(limit => bits >= limit).length;

// Excerpts lie one after the other in `bytes`; `first` is where each begins.
let sum = 0;
for (const excerpt of data.excerpts) { excerpt.first = sum; sum += excerpt.len; }
const excerptAt = i => {
  let [low, high] = [0, data.excerpts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (data.excerpts[middle].first <= i) low = middle; else high = middle - 1;
  }
  return data.excerpts[low];
};
/** The index of a position of the content, or of what is nearest to it. */
const indexOf = position => {
  let best = 0, distance = Infinity;
  for (const { at, len, first } of data.excerpts) {
    const nearest = Math.min(Math.max(position, at), at + len - 1);
    if (Math.abs(nearest - position) < distance) [best, distance] = [first + nearest - at, Math.abs(nearest - position)];
  }
  return best;
};
const positionOf = i => { const excerpt = excerptAt(i); return excerpt.at + i - excerpt.first; };
const shown = byte => {
  const names = { 9: '\u2192', 10: '\u21b5', 13: '\u2190', 32: '\u2423' };
  if (names[byte]) return names[byte];
  return byte > 32 && byte < 127 ? String.fromCharCode(byte) : '0x' + byte.toString(16).padStart(2, '0');
};

function table(target, header, rows, footer) {
  const row = (cells, tag) => {
    const made = make('tr');
    for (const cell of cells) {
      const item = make(tag);
      if (cell instanceof Node) item.append(cell); else item.textContent = cell;
      if (tag === 'th') item.scope = 'col';
      made.append(item);
    }
    return made;
  };
  const head = make('thead'), body = make('tbody');
  head.append(row(header, 'th'));
  rows.forEach(cells => body.append(row(cells, 'td')));
  target.replaceChildren(head, body);
  if (footer) { const foot = make('tfoot'); foot.append(row(footer, 'td')); target.append(foot); }
}
function bar(share) {
  const outer = make('span', undefined, 'share'), inner = make('i');
  outer.setAttribute('aria-hidden', 'true');
  inner.style.width = Math.max(0, Math.min(100, share * 100)) + '%';
  outer.append(inner);
  return outer;
}

function summary() {
  const bits = data.bits_per_byte === null ? '' : `, ${data.bits_per_byte.toFixed(3)} bits per byte`;
  element('title').textContent = `${data.name}: ${number(data.content_bytes)} \u2192 ${number(data.archive_bytes)} bytes${bits}`;
  document.title = `nzip explain: ${data.name}`;
  const rows = data.totals.map(({ kind, plain_bytes: plain, archive_bytes: archive, bits }) => [kind,
    plain === null ? '' : number(plain), number(archive), percent(archive / data.archive_bytes),
    plain ? (bits / plain).toFixed(3) : '', bar(archive / data.archive_bytes)]);
  table(element('totals'), ['kind', 'bytes', 'archive', 'share', 'bits per byte', ''], rows,
    ['total', '', number(data.archive_bytes), '100.0 %', '', '']);
  element('spread').textContent = data.spread;
  const lost = data.experts.some(expert => expert.bytes_lost !== null);
  const experts = data.experts.map(({ name, evidence, bytes_lost: bytes }) => [name, evidence === null ? '' : percent(evidence),
    bar(evidence || 0), ...(lost ? [bytes === null ? '' : number(bytes), percent((bytes || 0) / data.archive_bytes, 2)] : [])]);
  table(element('experts'), ['expert', 'evidence', '', ...(lost ? ['bytes lost without it', 'share'] : [])], experts);
  element('s-experts').hidden = !experts.length;
  const pieces = data.pieces.map(({ name, offset, at, len, bits }) => {
    const jump = make('button', name);
    jump.type = 'button';
    jump.onclick = () => go(indexOf(at), true);
    return [jump, number(offset), number(len), number(Math.round(bits / 8)), (bits / Math.max(len, 1)).toFixed(3)];
  });
  const rest = data.rest && [`${number(data.rest.count)} others`, '', number(data.rest.len), number(Math.round(data.rest.bits / 8)),
    (data.rest.bits / Math.max(data.rest.len, 1)).toFixed(3)];
  table(element('pieces'), ['segment', 'begins at', 'bytes', 'archive', 'bits per byte'], pieces, rest);
  element('s-pieces').hidden = !pieces.length;
}

function chart() {
  const { cell, means } = data.chart, width = Math.max(means.length, 1), most = Math.max(1, ...means);
  const make = (name, attributes) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  };
  const average = means.reduce((a, b) => a + b, 0) / width;
  element('chart-note').textContent = means.length
    ? `Each column is ${number(cell)} byte${cell > 1 ? 's' : ''}; the highest is ${most.toFixed(2)} bits per byte, the mean ${average.toFixed(2)}. Click to go there.`
    : 'There is no content.';
  const svg = make('svg', { viewBox: `0 0 ${width} 100`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': `Bits per byte over the content: ${average.toFixed(2)} on average, at most ${most.toFixed(2)}` });
  const heights = means.map(mean => 100 - mean * 100 / most);
  const line = heights.map((height, i) => `H${i}V${height.toFixed(1)}H${i + 1}`).join('');
  svg.append(make('path', { d: `M0 100${line}V100Z` }));
  const here = make('line', { class: 'here', y1: 0, y2: 100 });
  svg.append(here);
  svg.onclick = event => {
    const box = svg.getBoundingClientRect();
    go(indexOf(Math.floor((event.clientX - box.left) / box.width * width * cell)), true);
  };
  element('chart').replaceChildren(svg);
  return position => { for (const end of ['x1', 'x2']) here.setAttribute(end, (position + 0.5) / cell); };
}

// One page of the map: some bytes of one or several excerpts.
const PAGE = 4096;
let cursor = 0, page = -1, mark = 1, spans = new Map();

/** Bytes of the character at `i`, and the character. */
function character(i, end) {
  const first = bytes[i];
  const len = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
  if (len > 1 && i + len <= end) {
    try {
      return [len, new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(i, i + len))];
    } catch { /* not UTF-8 */ }
  }
  return [1, first >= 32 && first < 127 ? String.fromCharCode(first) : first === 10 ? '\u21b5\n' : first === 9 ? '\u2192\t'
    : first === 13 ? '\u2190' : '\u00b7'];
}

function span(i, len, text) {
  let bits = 0, isAsked = false;
  for (let at = i; at < i + len; at++) { bits += cost(at); isAsked ||= asked(at); }
  const made = make('span', text, `s${step(bits)}${isAsked ? ' asked' : ''}`);
  made.dataset.i = i;
  for (let at = i; at < i + len; at++) spans.set(at, made);
  return made;
}

function render(number_) {
  page = number_;
  spans = new Map();
  const [from, to] = [page * PAGE, Math.min(bytes.length, (page + 1) * PAGE)];
  const parts = [];
  for (let i = from; i < to;) {
    const excerpt = excerptAt(i), end = Math.min(to, excerpt.first + excerpt.len);
    const before = excerpt.first === 0 ? 0 : positionOf(excerpt.first - 1) + 1;
    const skipped = i === excerpt.first ? excerpt.at - before : 0;
    if (skipped > 0 || i === excerpt.first) {
      parts.push(make('span', `${skipped > 0 ? number(skipped) + ' bytes left out. ' : ''}${excerpt.name}, from byte ${number(positionOf(i))}`, 'gap'));
    }
    if (excerpt.text) {
      while (i < end) {
        const [len, text] = character(i, end);
        parts.push(span(i, len, text));
        i += len;
      }
    } else {
      while (i < end) {
        const row = make('span', undefined, 'row'), last = Math.min(end, i + 16), letters = [];
        row.append(make('b', positionOf(i).toString().padStart(9) + '  '));
        for (; i < last; i++) {
          row.append(span(i, 1, bytes[i].toString(16).padStart(2, '0')), ' ');
          letters.push(bytes[i] > 31 && bytes[i] < 127 ? String.fromCharCode(bytes[i]) : '\u00b7');
        }
        row.append(make('b', ' '.repeat(1 + 3 * (16 - letters.length)) + letters.join('')), '\n');
        parts.push(row);
      }
    }
  }
  element('map').replaceChildren(...parts);
  const pages = Math.max(1, Math.ceil(bytes.length / PAGE));
  element('page').textContent = `page ${page + 1} of ${pages}`;
  element('back').disabled = page === 0;
  element('forth').disabled = page + 1 >= pages;
}

/** Moves the cursor to byte `i` of the excerpts; `length` bytes are marked. */
function go(i, scroll, length = 1) {
  if (!bytes.length) return;
  cursor = Math.max(0, Math.min(bytes.length - 1, i));
  mark = length;
  const wanted = Math.floor(cursor / PAGE);
  if (wanted !== page) render(wanted);
  document.querySelectorAll('#map .here').forEach(one => one.classList.remove('here'));
  for (let at = cursor; at < cursor + mark; at++) spans.get(at)?.classList.add('here');
  const one = spans.get(cursor);
  const map = element('map');
  if (one) {
    const [box, outer] = [one.getBoundingClientRect(), map.getBoundingClientRect()];
    if (box.top < outer.top || box.bottom > outer.bottom) map.scrollTop += box.top - outer.top - outer.height / 3;
  }
  if (scroll) { element('s-map').scrollIntoView({ block: 'start' }); map.focus({ preventScroll: true }); }
  describe(cursor);
}

const place = chart();

function describe(i) {
  const excerpt = excerptAt(i), position = positionOf(i), info = element('info');
  place(position);
  const list = make('dl');
  const line = (name, value) => list.append(make('dt', name), make('dd', value));
  line('Byte', number(position));
  line('In', excerpt.name);
  line('Value', `${shown(bytes[i])} (${bytes[i]})`);
  line('Cost', `${cost(i).toFixed(2)} bits`);
  if (data.uses_transformer) line('Asked', asked(i) ? 'the transformer, what follows' : 'no');
  const parts = [list];
  if (i - excerpt.first < excerpt.known) {
    const expected = make('table'), rows = [];
    for (let g = 0; g < 3; g++) {
      const [byte, share] = [guesses[6 * i + 2 * g], guesses[6 * i + 2 * g + 1] / 255];
      if (share > 0) rows.push([shown(byte) + (byte === bytes[i] ? ' (it came)' : ''), percent(share, 0), bar(share)]);
    }
    table(expected, ['byte', 'probability', ''], rows);
    if (rows.length) parts.push(make('h3', 'What was expected'), expected);
    else parts.push(make('p', 'Coefficients of the JPEG are predicted here, not bytes. The cost is that of its block, divided among its bytes.', 'note'));
    if (data.parts.length) {
      const experts = make('table'), count = data.parts.length;
      const all = data.parts.map((name, part) => [name, shares[i * count + part] / 255]).filter(([, share]) => share > 0.004);
      all.sort((a, b) => b[1] - a[1]);
      table(experts, ['expert', 'share', ''], all.map(([name, share]) => [name, percent(share, 0), bar(share)]));
      parts.push(make('h3', 'Evidence by expert'), experts);
    }
  } else {
    parts.push(make('p', 'No more is known of this byte: details are kept for the first megabyte, and for what is not stored.', 'note'));
  }
  info.replaceChildren(...parts);
}

let rank = -1;
function dear(by) {
  if (!data.places.length) return;
  rank = (rank + by + data.places.length) % data.places.length;
  const { at, len, bits } = data.places[rank];
  go(indexOf(at), true, len);
  element('said').textContent = `dear place ${rank + 1} of ${data.places.length}: ${bits.toFixed(1)} bits`;
}

function find() {
  const text = element('find').value, said = element('said');
  if (!text) return;
  const hex = /^0x(([0-9a-f]{2}\s*)+)$/i.exec(text);
  const wanted = hex ? hex[1].match(/[0-9a-f]{2}/gi).map(pair => parseInt(pair, 16)) : [...new TextEncoder().encode(text)];
  const fits = i => wanted.every((byte, offset) => bytes[i + offset] === byte);
  for (let tried = 1; tried <= bytes.length; tried++) {
    const i = (cursor + tried) % bytes.length;
    if (fits(i)) {
      said.textContent = `found at byte ${number(positionOf(i))}`;
      return go(i, false, wanted.length);
    }
  }
  said.textContent = data.complete ? 'not found' : 'not found in what is shown here';
}

function beside(direction) {
  const excerpt = excerptAt(cursor);
  if (!excerpt.text) return cursor + 16 * direction;
  const box = spans.get(cursor)?.getBoundingClientRect();
  const line = 20;
  for (let lines = 1; box && lines < 4; lines++) {
    const found = document.elementFromPoint(box.left + 2, box.top + box.height / 2 + direction * line * lines);
    if (found?.dataset?.i !== undefined) return Number(found.dataset.i);
  }
  return cursor + 64 * direction;
}

function listen() {
  const map = element('map');
  map.onmouseover = event => { const i = event.target.dataset?.i; if (i !== undefined) describe(Number(i)); };
  map.onmouseleave = () => bytes.length && describe(cursor);
  map.onclick = event => { const i = event.target.dataset?.i; if (i !== undefined) go(Number(i)); };
  map.onkeydown = event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const moves = { ArrowLeft: () => go(cursor - 1), ArrowRight: () => go(cursor + 1), ArrowUp: () => go(beside(-1)),
      ArrowDown: () => go(beside(1)), PageUp: () => go(cursor - PAGE), PageDown: () => go(cursor + PAGE), Home: () => go(page * PAGE),
      End: () => go((page + 1) * PAGE - 1), n: () => dear(1), p: () => dear(-1), '/': () => element('find').focus() };
    if (moves[event.key]) { event.preventDefault(); moves[event.key](); }
  };
  element('back').onclick = () => go((page - 1) * PAGE);
  element('forth').onclick = () => go((page + 1) * PAGE);
  element('dear').onclick = () => dear(1);
  element('next-hit').onclick = find;
  element('find').onkeydown = event => { if (event.key === 'Enter') find(); };
  element('offset').onchange = event => go(indexOf(Number(event.target.value)));
  const theme = element('theme');
  const choose = name => { if (name) document.documentElement.dataset.theme = name; else delete document.documentElement.dataset.theme; images(); };
  theme.onchange = () => choose(theme.value);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', images);
}

function places() {
  const list = element('places');
  for (const { at, len, bits } of data.places) {
    const from = indexOf(at), item = make('li'), excerpt = excerptAt(from);
    const part = bytes.subarray(from, from + len);
    const text = excerpt.text ? new TextDecoder().decode(part) : [...part].map(byte => byte.toString(16).padStart(2, '0')).join(' ');
    const jump = make('button', text.replace(/[\x00-\x1f]/g, '\u00b7') || '\u00b7');
    jump.type = 'button';
    jump.title = `byte ${number(at)}`;
    jump.onclick = () => { rank = data.places.findIndex(place => place.at === at); go(from, true, len); };
    item.append(jump, ` ${bits.toFixed(1)} bits`);
    list.append(item);
  }
  element('s-places').hidden = !data.places.length;
}

/** The colours of the steps in the theme, as red, green and blue. */
function ramp() {
  const style = getComputedStyle(document.documentElement);
  return ['--back', '--b1', '--b2', '--b3', '--b4', '--b5'].map(name => {
    const hex = parseInt(style.getPropertyValue(name).trim().slice(1), 16);
    return [hex >> 16, hex >> 8 & 255, hex & 255];
  });
}

function images() {
  const colours = ramp();
  const draw = (name, image, colour) => {
    const canvas = make('canvas');
    [canvas.width, canvas.height] = [image.columns, image.rows];
    canvas.style.width = Math.max(image.columns, Math.min(480, image.columns * 4)) + 'px';
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', name);
    const context = canvas.getContext('2d'), picture = context.createImageData(image.columns, image.rows);
    for (let i = 0; i < image.columns * image.rows; i++) picture.data.set([...colour(i), 255], 4 * i);
    context.putImageData(picture, 0, 0);
    return canvas;
  };
  element('images').replaceChildren(...data.images.map(image => {
    const values = unpack(image.values), costs = unpack(image.costs), most = Math.max(1, ...costs);
    const heat = i => {
      const level = costs[i] / most * (colours.length - 1), low = Math.min(colours.length - 2, Math.floor(level));
      return colours[low].map((from, c) => from + (colours[low + 1][c] - from) * (level - low));
    };
    const figure = make('figure'), caption = make('figcaption');
    const still = `${image.name}: ${image.width} \u00d7 ${image.height} pixels; a cell is ${image.scale} \u00d7 ${image.scale}. The dearest cell takes ${(most / 16).toFixed(1)} bits per byte.`;
    caption.textContent = still;
    const both = [draw('The pixels', image, i => values.subarray(3 * i, 3 * i + 3)), draw('Their costs', image, heat)];
    for (const canvas of both) {
      canvas.onmousemove = event => {
        const box = canvas.getBoundingClientRect();
        const x = Math.min(image.columns - 1, Math.floor((event.clientX - box.left) / box.width * image.columns));
        const y = Math.min(image.rows - 1, Math.floor((event.clientY - box.top) / box.height * image.rows));
        const i = y * image.columns + x;
        caption.textContent = `${x * image.scale}, ${y * image.scale}: ${(costs[i] / 16).toFixed(2)} bits per byte, red ${values[3 * i]}, green ${values[3 * i + 1]}, blue ${values[3 * i + 2]}`;
      };
      canvas.onmouseleave = () => { caption.textContent = still; };
    }
    figure.append(caption, ...both);
    return figure;
  }));
  element('s-images').hidden = !data.images.length;
}

summary();
places();
listen();
images();
element('legend').append('Bits of a character or byte:');
[0, ...limits].forEach((limit, index) => {
  const next = limits[index];
  element('legend').append(make('span', index === 0 ? `below ${next}` : next ? `${limit} to ${next}` : `${limit} or more`, `s${index}`));
});
if (data.uses_transformer) element('legend').append(make('span', 'dotted: the transformer was asked what follows'));
element('map-note').textContent = data.complete ? '' : `This is not all: ${number(bytes.length)} of ${number(data.plain_bytes)} bytes are shown, those at the beginning and around the dearest places.`;
element('s-map').hidden = !bytes.length;
go(0);
