// Keeps the page current and removes old prices.
//
// The page fetches itself and applies the differences. The age of the prices is that in the page plus the time since; the
// browser's clock is never compared with the exporter's. Only syntax of ES2018 and features of Chromium 64, for old television sets.
'use strict';

const timeout = 5; // of one request, in seconds

// A time on both clocks. One stops while the machine is suspended, the other may be set.
const moment = () => ({steady: performance.now(), wall: Date.now()});

// Seconds since a time: the larger difference of the two clocks.
const since = (then) => Math.max(performance.now() - then.steady, Date.now() - then.wall, 0) / 1000;

// When the current page was requested.
let asked = {steady: 0, wall: performance.timeOrigin || Date.now()};

let build = '';      // of the running page
let nextBuild = '';  // of the last answer
let question = null; // the request in flight
let failures = 0;    // requests since the last answer
let mute = -1;       // ticks since the first unanswered request; below 0 without one
let timer = 0;

// age is the same as age in number.go.
function age(seconds) {
  const s = Math.floor(seconds);
  const two = (a, unit, b, part) => a + ' ' + unit + (b ? ' ' + b + ' ' + part : '');
  if (s < 60) return s + ' s';
  if (s < 3600) return two(Math.floor(s / 60), 'min', s % 60, 's');
  if (s < 86400) return two(Math.floor(s / 3600), 'h', Math.floor(s / 60) % 60, 'min');
  return two(Math.floor(s / 86400), 'd', Math.floor(s / 3600) % 24, 'h');
}

const stated = (name) => parseFloat(document.body.dataset[name]);
const refresh = () => stated('refresh') || timeout; // for a page that was truncated in its head

function put(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

// notice shows a message about the exporter.
function notice(state, head, reason) {
  document.body.dataset.state = state;
  const box = document.querySelector('.notice');
  if (!box) return; // the page was truncated
  box.hidden = false;
  const next = box.querySelector('.next');
  if (next) next.remove();
  const line = document.getElementById('notice');
  if (line.textContent === head + ' ' + reason) return; // unchanged, so that a screen reader does not repeat it
  line.textContent = '';
  for (const [name, text] of [['strong', head], ['span', reason]]) {
    const part = document.createElement(name);
    part.textContent = text;
    line.append(part, name === 'strong' ? ' ' : '');
  }
}

// tick updates the age and removes the prices if they have expired or the exporter does not answer.
//
// The exporter's silence is counted in ticks and not by a clock: a frozen page has not waited for an answer.
function tick() {
  if (mute >= 0) mute++;
  if (question && ++question.ticks > timeout) {
    question.abort();
    lost(question, 'none within ' + timeout + ' s');
  }
  const silent = since(asked);
  const old = stated('age') + silent; // NaN before the first rates, and so never too old
  if (old >= 0) put(document.getElementById('age'), age(old));

  const late = silent > stated('patience');
  const gone = late && mute > timeout;
  const state = document.body.dataset.state;
  if (!gone && !(old > stated('maxAge') && state !== 'expired')) {
    if (late && mute <= timeout) {
      again();
      if (state === 'fresh') notice('missed', 'Not up to date', 'This page is requesting newer rates from the exporter.');
    }
    return;
  }
  document.querySelectorAll('main, .others').forEach((part) => { part.textContent = ''; });
  put(document.querySelector('title'), document.title.replace(/Crypto rates.*/, 'No current rates'));
  if (gone) {
    notice('expired', 'No current rates',
      'The exporter does not answer. Check that it runs and that this screen can reach it.');
  } else {
    notice('expired', 'No current rates', 'The last rates have expired.');
    again();
  }
}

// morph makes one element equal to another and changes only differences, to avoid flicker.
function morph(from, to) {
  for (const {name, value} of Array.from(to.attributes)) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const {name} of Array.from(from.attributes)) {
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
  const before = Array.from(from.childNodes);
  const after = Array.from(to.childNodes);
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const a = before[i];
    const b = after[i];
    if (!a) from.append(b);
    else if (!b) a.remove();
    else if (a.nodeName !== b.nodeName) a.replaceWith(b);
    else if (a.nodeType === Node.ELEMENT_NODE) morph(a, b);
    else if (a.data !== b.data) a.data = b.data;
  }
}

// resize applies the sizes that the exporter computed for the tiles.
function resize() {
  const style = document.querySelector('style + style');
  const sizes = document.body.dataset.sizes;
  if (!style || !sizes || style.dataset.sizes === sizes) return;
  // Not the text of the element: the policy allows only that of the original page.
  style.sheet.cssRules[0].style.cssText = sizes;
  style.dataset.sizes = sizes;
}

// ask fetches the page and applies it.
async function ask(mine) {
  const started = moment();
  // Not location.href: fetch refuses a URL with a password.
  const url = location.origin + location.pathname + location.search;
  const response = await fetch(url, {cache: 'no-store', redirect: 'error', signal: mine.signal});
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const found = page.body.dataset.build;
  if (!found) throw new Error('not the exporter: ' + response.status); // a proxy, a login page
  if (started.steady < asked.steady) return; // a later request was answered first
  if (found !== build && found === nextBuild) {
    location.reload(); // a new version twice in a row: the exporter was upgraded
    return;
  }
  nextBuild = found;
  morph(document.body, page.body);
  resize();
  put(document.querySelector('title'), page.title);
  asked = started;
  failures = 0;
  mute = -1;
}

// again starts a request unless one is in flight.
function again() {
  if (question) return;
  clearTimeout(timer);
  const control = window.AbortController ? new AbortController() : {abort() {}};
  const mine = {ticks: 0, signal: control.signal, abort: () => control.abort()};
  question = mine;
  mute = Math.max(mute, 0);
  ask(mine).then(() => {
    if (question === mine) next(refresh());
    tick();
  }, (error) => lost(mine, error));
}

// next schedules the next request, in seconds.
function next(seconds) {
  question = null;
  clearTimeout(timer);
  timer = setTimeout(again, seconds * 1000);
}

// lost handles a request without an answer.
function lost(mine, why) {
  if (question !== mine) return;
  console.warn('No answer from the exporter:', why);
  failures++;
  if (failures === 1 && since(asked) > stated('patience')) {
    next(0); // a connection that broke during a suspend says nothing about the exporter
    return;
  }
  if (document.body.dataset.state !== 'expired') {
    notice('missed', 'The exporter does not answer', 'Trying again. These prices are not updated until it answers.');
  }
  next(refresh());
}

// wake starts a request after a suspend, a return to this tab, or a lost network.
function wake() {
  again();
  tick();
}

// start runs once the page is loaded, or after a timeout: a truncated page never fires DOMContentLoaded.
function start() {
  if (build || !document.body) return;
  document.documentElement.classList.add('live'); // from here on, this script removes old prices instead of the style sheet
  build = nextBuild = document.body.dataset.build || 'none';
  setInterval(tick, 1000);
  next(Math.max(refresh() - since(asked), 0));
  document.addEventListener('visibilitychange', wake);
  document.addEventListener('resume', wake);
  window.addEventListener('pageshow', (event) => { if (event.persisted) wake(); });
  window.addEventListener('online', wake);
}

document.addEventListener('DOMContentLoaded', start);
setTimeout(start, 3 * timeout * 1000);
