// The search page: sections of the book by MiniSearch, chapters first; publish/search.py wrote them.

import MiniSearch from 'minisearch';

const GROUPS = ['Chapters', 'Start and reference', 'Solutions and lesson plans'];
const SHOWN = 8; // of a group, until the reader wants all
const PREFIX = 4; // letters that may begin a longer word

const box = document.querySelector('#search-results');
const asked = new URLSearchParams(location.search).get('q')?.trim() ?? '';
for (const input of document.querySelectorAll('form.bd-search input')) input.value = asked;

const make = (tag, attributes, ...children) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
};

// what people type, and what the book writes
const ALIASES = [
  [/\bwarmup\b/gi, 'warm-up'],
  [/\bbackprop\b/gi, 'backpropagation'],
  [/\b(batch|layer|group|rms) ?norm\b/gi, '$1 normalization'],
  [/\blr\b/gi, 'learning rate'],
  [/\binit\b/gi, 'initialization'],
  [/\bdying\b/gi, 'dead'],
  [/\bresidual connections?\b/gi, 'skip connections'],
];
const SMALL = new Set(
  'a an and are as at be by can do does for from how i in is it its my not of on or that the this to what when where which why with'.split(
    ' ',
  ),
);
const LESS = { References: 0.1, 'What people say': 0.4, Exercises: 0.4, Summary: 0.6 };

// vanishing, vanished and vanish are one word here
const stem = word => {
  const small = word.toLowerCase();
  return small.length > PREFIX ? small.replace(/(ing|ed|es|s|e)$/, '') : small;
};

// A text with the words found in it marked, whole words only.
function marked(text, words) {
  const parts = text.split(/([\p{L}\p{N}_]+)/u);
  return parts.map(part => (words.has(stem(part)) ? make('mark', { textContent: part }) : part));
}

// The sentence that has most of the words.
function sentence(text, words) {
  let best = '';
  let most = 0;
  for (const said of text.split(/\n+|(?<=[.?!])\s+(?=\p{Lu}|\p{N})/u)) {
    const found = (said.match(/[\p{L}\p{N}_]+/gu) ?? []).map(stem);
    const count = new Set(found.filter(word => words.has(word))).size;
    if (count > most) [best, most] = [said, count];
  }
  return best.length > 320 ? `${best.slice(0, 300).replace(/\s\S*$/, '')} …` : best;
}

function hit(result) {
  const words = new Set(result.terms);
  const link = make('a', { href: result.url }, ...marked(result.title, words));
  const item = make('li', {}, link);
  if (result.page !== result.title)
    item.append(make('span', { className: 'gb-page', textContent: result.page }));
  const said = sentence(result.text, words);
  if (said) item.append(make('p', {}, ...marked(said, words)));
  return item;
}

function group(name, results) {
  const list = make('ul', { className: 'gb-hits' }, ...results.slice(0, SHOWN).map(hit));
  const part = make('section', {}, make('h2', { textContent: name }), list);
  if (results.length > SHOWN) {
    const more = make('button', { type: 'button', textContent: `All ${results.length}` });
    more.addEventListener('click', () => {
      list.append(...results.slice(SHOWN).map(hit));
      list.children[SHOWN].querySelector('a').focus();
      more.remove();
    });
    part.append(more);
  }
  return part;
}

function search() {
  const meant = ALIASES.reduce((text, [from, to]) => text.replace(from, to), asked);
  const phrase = meant.toLowerCase();
  const engine = new MiniSearch({
    fields: ['title', 'page', 'terms', 'text', 'code'],
    storeFields: ['title', 'page', 'text', 'url', 'group'],
    processTerm: word => (SMALL.has(word.toLowerCase()) ? null : stem(word)),
    searchOptions: {
      boostDocument: (_, __, { title, text }) =>
        (LESS[title] ?? 1) * (text.toLowerCase().includes(phrase) ? 2 : 1),
      boost: { title: 4, page: 3, terms: 4, code: 0.3 },
    },
  });
  engine.addAll(window.gbSections.map((section, id) => ({ id, ...section })));
  const nearly = {
    prefix: term => term.length >= PREFIX,
    fuzzy: term => (term.length > PREFIX ? 0.2 : false),
  };
  const ways = [{ combineWith: 'AND' }, { combineWith: 'AND', ...nearly }, nearly];
  const results = ways.map(way => engine.search(meant, way)).find(found => found.length) ?? [];
  const count = results.length === 1 ? '1 section' : `${results.length} sections`;
  box.append(make('p', { role: 'status', textContent: `${count} for “${asked}”` }));
  for (const [number, name] of GROUPS.entries()) {
    const its = results.filter(result => result.group === number);
    if (its.length) box.append(group(name, its));
  }
}

if (asked) search();
else document.querySelector('.bd-search-container input').focus();
