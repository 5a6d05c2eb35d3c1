// The figures' script twice, an ES module for anywidget and a plain script for the site, and the
// site's search: plain scripts also work from file://, where browsers refuse modules.

import { cp, mkdir } from 'node:fs/promises';
import { build } from 'esbuild';

const out = process.argv[2] ?? '..';
const common = { bundle: true, minify: true, target: 'es2020', legalComments: 'none' };
await mkdir(`${out}/gradbook/show`, { recursive: true });
await build({
  ...common,
  entryPoints: ['src/explorer.mjs'],
  format: 'esm',
  outfile: `${out}/gradbook/show/explorer.mjs`,
});
await build({
  ...common,
  entryPoints: ['src/page.mjs'],
  format: 'iife',
  outfile: `${out}/gradbook/show/explorer.js`,
});
await mkdir(`${out}/assets/static`, { recursive: true });
await build({
  ...common,
  entryPoints: ['src/search.mjs'],
  format: 'iife',
  outfile: `${out}/assets/static/search.js`,
});
await cp('src/explorer.css', `${out}/gradbook/show/explorer.css`);
