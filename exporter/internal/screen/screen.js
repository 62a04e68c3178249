// Keeps the page current, and never leaves an old price on it.
//
// The page fetches itself and takes over what is different. How old its prices are is counted here
// from the age that the exporter stated; the browser's clock is never compared with the exporter's.
// No syntax newer than ES2018, and nothing that Chromium 64 has not: television sets live long.
'use strict';

const timeout = 5; // seconds that one answer may take

// A moment on both clocks. One stops while the machine sleeps, the other may be set.
const moment = () => ({steady: performance.now(), wall: Date.now()});

// How many seconds ago a moment was: the larger of what the clocks say.
const since = (then) => Math.max(performance.now() - then.steady, Date.now() - then.wall, 0) / 1000;

// When the answer that stands on the page was asked for.
let asked = {steady: 0, wall: performance.timeOrigin || Date.now()};

let build = '';      // of the page that runs
let nextBuild = '';  // of the last answer
let question = null; // the request under way
let failures = 0;    // requests since the last answer
let mute = -1;       // ticks since the first request that was not answered; below 0 while there is none
let timer = 0;

// age does what age in number.go does.
function age(seconds) {
  const s = Math.floor(seconds);
  const two = (a, unit, b, part) => a + ' ' + unit + (b ? ' ' + b + ' ' + part : '');
  if (s < 60) return s + ' s';
  if (s < 3600) return two(Math.floor(s / 60), 'min', s % 60, 's');
  if (s < 86400) return two(Math.floor(s / 3600), 'h', Math.floor(s / 60) % 60, 'min');
  return two(Math.floor(s / 86400), 'd', Math.floor(s / 3600) % 24, 'h');
}

const stated = (name) => parseFloat(document.body.dataset[name]);
const refresh = () => stated('refresh') || timeout; // of a page that was cut off in its head

function put(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

// notice says in the exporter's place what is the matter with it.
function notice(state, head, reason) {
  document.body.dataset.state = state;
  const box = document.querySelector('.notice');
  if (!box) return; // a page that was cut off before it
  box.hidden = false;
  const next = box.querySelector('.next');
  if (next) next.remove();
  const line = document.getElementById('notice');
  if (line.textContent === head + ' ' + reason) return; // said already: a screen reader need not say it again
  line.textContent = '';
  for (const [name, text] of [['strong', head], ['span', reason]]) {
    const part = document.createElement(name);
    part.textContent = text;
    line.append(part, name === 'strong' ? ' ' : '');
  }
}

// tick counts, and takes the prices away when they are too old or nobody stands by them any more.
//
// That the exporter is silent is counted in ticks and not by the clock: a page that was frozen has not waited for an answer.
function tick() {
  if (mute >= 0) mute++;
  if (question && ++question.ticks > timeout) {
    question.abort();
    lost(question, 'none within ' + timeout + ' s');
  }
  const silent = since(asked);
  const old = stated('age') + silent; // NaN, and so never too old, before the first rates
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

// morph makes one element like another and touches only what differs, so that nothing flickers.
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

// resize takes over the sizes that the exporter worked out for these tiles.
function resize() {
  const style = document.querySelector('style + style');
  const sizes = document.body.dataset.sizes;
  if (!style || !sizes || style.dataset.sizes === sizes) return;
  // Not the text of the element: the policy knows the one that came with the page only.
  style.sheet.cssRules[0].style.cssText = sizes;
  style.dataset.sizes = sizes;
}

// ask fetches the page and takes it over.
async function ask(mine) {
  const started = moment();
  // Not location.href: it may hold a password, and then fetch refuses it.
  const url = location.origin + location.pathname + location.search;
  const response = await fetch(url, {cache: 'no-store', redirect: 'error', signal: mine.signal});
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const found = page.body.dataset.build;
  if (!found) throw new Error('not the exporter: ' + response.status); // a proxy, a login page
  if (started.steady < asked.steady) return; // a later question was answered before
  if (found !== build && found === nextBuild) {
    location.reload(); // a new version, twice in a row: the old one is gone for good
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

// again asks, unless an answer is awaited already.
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

// next is when to ask again, in seconds.
function next(seconds) {
  question = null;
  clearTimeout(timer);
  timer = setTimeout(again, seconds * 1000);
}

// lost is what becomes of a question without an answer.
function lost(mine, why) {
  if (question !== mine) return;
  console.warn('No answer from the exporter:', why);
  failures++;
  if (failures === 1 && since(asked) > stated('patience')) {
    next(0); // a connection that did not outlive a sleep says nothing about the exporter
    return;
  }
  if (document.body.dataset.state !== 'expired') {
    notice('missed', 'The exporter does not answer', 'Trying again. These prices are not updated until it answers.');
  }
  next(refresh());
}

// wake looks at once after a sleep, a return to this tab or a lost network.
function wake() {
  again();
  tick();
}

// start is called when the page is there, or as much of it as came: a page that was cut off never gets ready.
function start() {
  if (build || !document.body) return;
  document.documentElement.classList.add('live'); // from here on, this script hides old prices and not the style sheet
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
