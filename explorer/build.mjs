// The figures' script twice, an ES module for anywidget and a plain script for the site, and the
// site's search: plain scripts also work from file://, where browsers refuse modules.

import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

const out = process.argv[2] ?? '..';

// the licences of the packages in a bundle, each text once, with whom it names
async function notices(inputs) {
  const names = Object.keys(inputs).map(
    file => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1],
  );
  const holders = new Map();
  for (const name of [...new Set(names)].filter(Boolean).sort()) {
    const files = await readdir(`node_modules/${name}`);
    const licence = files.find(file => /^licen[cs]e/i.test(file));
    const text = await readFile(`node_modules/${name}/${licence}`, 'utf8');
    const [holder] = text.match(/^Copyright .*$/m);
    const rest = text.replace(holder, '').trim();
    holders.set(rest, [...(holders.get(rest) ?? []), `${name}: ${holder}`]);
  }
  return [...holders].map(([rest, who]) => `${who.join('\n')}\n\n${rest}`).join('\n\n');
}

async function bundle(entry, format, target) {
  const { metafile, outputFiles } = await build({
    bundle: true,
    minify: true,
    target: 'es2020',
    legalComments: 'none',
    entryPoints: [entry],
    format,
    outfile: target,
    metafile: true,
    write: false,
  });
  await mkdir(target.replace(/[^/]*$/, ''), { recursive: true });
  await writeFile(target, `/*!\n${await notices(metafile.inputs)}\n*/\n${outputFiles[0].text}`);
}

await bundle('src/explorer.mjs', 'esm', `${out}/gradbook/show/explorer.mjs`);
await bundle('src/page.mjs', 'iife', `${out}/gradbook/show/explorer.js`);
await bundle('src/search.mjs', 'iife', `${out}/assets/static/search.js`);
await cp('src/explorer.css', `${out}/gradbook/show/explorer.css`);
