'use strict';
const bags = JSON.parse(document.getElementById('data').textContent);
const colors = ['#CC6677', '#44AA99', '#AA4499', '#999933', '#6699CC', '#882255'];
const find = (id) => document.getElementById(id);
const [bagList, dimensionList, slider] = ['bag', 'dimension', 'scrubber'].map(find);
const [clock, frame, canvas, rows] = ['clock', 'frame', 'plot', 'values'].map(find);
const legend = find('legend');

// Index of the last time at or before `at`, or -1.
function before(times, at) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at + 1e-6) low = middle + 1; else high = middle;
  }
  return low - 1;
}

const bag = () => bags[bagList.selectedIndex];
const series = () => [...bag().policies, bag().recorded];
const text = (value) => (value === null || value === undefined ? '-' : value.toPrecision(4));

function end() {
  return Math.max(0, ...series().map((each) => each.times_sec[each.times_sec.length - 1] || 0));
}

function fill(list, names) {
  list.replaceChildren(...names.map((name) => new Option(name)));
}

function draw(at) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  const dimension = Math.max(0, dimensionList.selectedIndex);
  const known = series().flatMap((each) => each.values[dimension] || []).filter((v) => v !== null);
  if (!known.length) {
    pen.fillStyle = getComputedStyle(document.body).color;
    pen.font = '14px sans-serif';
    pen.fillText('no action of this dimension', 56, height / 2);
    return;
  }
  let low = Infinity;
  let high = -Infinity;
  for (const value of known) { low = Math.min(low, value); high = Math.max(high, value); }
  const room = (high - low) * 0.08 || 1e-3;
  const x = (sec) => 56 + (width - 66) * sec / (end() || 1);
  const y = (value) => 8 + (height - 30) * (high + room - value) / (high - low + 2 * room);
  const ink = getComputedStyle(document.body).color;
  pen.fillStyle = ink;
  pen.font = '12px sans-serif';
  pen.fillText(high.toPrecision(3), 2, y(high) + 4);
  pen.fillText(low.toPrecision(3), 2, y(low) + 4);
  pen.fillText('0 s', 56, height - 4);
  pen.fillText(end().toFixed(1) + ' s', width - 44, height - 4);
  series().forEach((each, index) => {
    pen.strokeStyle = each.name === 'recorded' ? ink : colors[index % colors.length];
    pen.lineWidth = each.name === 'recorded' ? 1 : 1.6;
    pen.beginPath();
    let drawing = false;
    (each.values[dimension] || []).forEach((value, place) => {
      if (value === null) { drawing = false; return; }
      const point = [x(each.times_sec[place]), y(value)];
      if (drawing) pen.lineTo(...point); else pen.moveTo(...point);
      drawing = true;
    });
    pen.stroke();
  });
  pen.strokeStyle = ink;
  pen.lineWidth = 1;
  pen.setLineDash([3, 3]);
  pen.beginPath();
  pen.moveTo(x(at), 4);
  pen.lineTo(x(at), height - 20);
  pen.stroke();
}

function show() {
  const at = Number(slider.value);
  clock.textContent = at.toFixed(2) + ' s';
  const place = before(bag().frame_times_sec, at);
  frame.hidden = place < 0;
  frame.style.display = place < 0 ? 'none' : '';
  if (place >= 0) frame.src = bag().frames[place];
  rows.replaceChildren(...bag().dimensions.map((name, dimension) => {
    const row = document.createElement('tr');
    row.style.cursor = 'pointer';
    row.style.fontWeight = dimension === dimensionList.selectedIndex ? 'bold' : '';
    row.addEventListener('click', () => { dimensionList.selectedIndex = dimension; show(); });
    const cells = series().map((each) => {
      const index = before(each.times_sec, at);
      return index < 0 ? '-' : text(each.values[dimension][index]);
    });
    [name, bag().units[dimension], ...cells].forEach((cell, column) => {
      const item = row.insertCell();
      item.textContent = cell;
      if (column > 1) item.className = 'number';
    });
    return row;
  }));
  draw(at);
}

function open() {
  fill(dimensionList, bag().dimensions);
  legend.replaceChildren(...series().map((each, index) => {
    const item = document.createElement('span');
    item.textContent = '\u2014 ' + each.name;
    item.style.marginRight = '1.5em';
    item.style.color = each.name === 'recorded' ? '' : colors[index % colors.length];
    return item;
  }));
  const head = ['Dimension', 'Unit', ...series().map((each) => each.name)];
  find('heads').replaceChildren(...head.map((name, column) => {
    const cell = document.createElement('th');
    cell.textContent = name;
    if (column > 1) {
      cell.className = 'number';
      cell.style.color = name === 'recorded' ? '' : colors[(column - 2) % colors.length];
    }
    return cell;
  }));
  slider.max = end();
  slider.step = Math.max(end() / 2000, 0.001);
  slider.value = 0;
  show();
}

fill(bagList, bags.map((each) => each.bag));
bagList.addEventListener('change', open);
dimensionList.addEventListener('change', show);
slider.addEventListener('input', show);
window.addEventListener('resize', show);
open();
// The end by #end, so that a page can be opened there.
if (location.hash === '#end') { slider.value = slider.max; show(); }
