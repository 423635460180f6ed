import { THEMES, type Theme } from './charts.ts';
import { dateText, escapeHtml } from './text.ts';

/** A cell that is not to be broken. */
const NUMBER = /^[\d. -]+ ?(?:s|min|%|[kMGT]?B|[\d: -]+UTC)?$/;

/** Rows shown of long tables. */
const ROWS = 25;

/** A part of a page, with a heading that a list of parts links to. */
export interface Section {
  readonly id: string;
  readonly heading: string;
  readonly html: string;
}

/** A part with its heading. */
export function section(id: string, heading: string, ...parts: readonly string[]): Section {
  const html = `<section id="${id}" aria-labelledby="${id}-h"><h2 id="${id}-h">${escapeHtml(heading)}</h2>${parts.join('')}</section>`;
  return { id, heading, html };
}

/**
 * A chart in both appearances, of which the reader's system shows one; readers of screens get the caption and the table. `words` are
 * classes: `marks` has text on coloured marks, `wide` keeps its own width and is scrolled.
 */
export function figure(draw: (theme: Theme) => string, caption: string, words = ''): string {
  const both = (['light', 'dark'] as const).map(
    (name) => `<div class="chart ${name} ${words}" aria-hidden="true">${draw(THEMES[name])}</div>`,
  );
  const charts =
    words === 'wide'
      ? `<div class="scroll" tabindex="0" role="region" aria-label="picture">${both.join('')}</div>`
      : both.join('');
  return `<figure>${charts}<figcaption>${escapeHtml(caption)}</figcaption></figure>`;
}

/** A table, of which the first rows are shown until the reader asks for the others. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '<p>Nothing yet.</p>';
  const body = (some: readonly (readonly string[])[]): string =>
    some
      .map(([first = '', ...cells]) => {
        const rest = cells
          .map((cell) => `<td${NUMBER.test(cell) ? ' class="n"' : ''}>${escapeHtml(cell)}</td>`)
          .join('');
        return `<tr><th scope="row">${escapeHtml(first)}</th>${rest}</tr>`;
      })
      .join('');
  const whole = (some: readonly (readonly string[])[]): string =>
    `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(head.join(', '))}"><table><thead><tr>${head.map((h) => `<th scope="col">${escapeHtml(h)}</th>`).join('')}</tr></thead><tbody>${body(some)}</tbody></table></div>`;
  if (rows.length <= ROWS) return whole(rows);
  const more = rows.length - ROWS;
  return `${whole(rows.slice(0, ROWS))}<details><summary>${more} more</summary>${whole(rows.slice(ROWS))}</details>`;
}

/** A whole page with nothing from elsewhere in it; `made`: when, in milliseconds since the Unix epoch, where that is to be said. */
export function htmlPage(page: {
  readonly title: string;
  readonly made?: number;
  /** What a reader skips to: `the report`. */
  readonly of: string;
  readonly sections: readonly Section[];
}): string {
  const { title, made, sections } = page;
  const links = sections.map(
    ({ id, heading }) => `<li><a href="#${id}">${escapeHtml(heading)}</a></li>`,
  );
  const date = made === undefined ? '' : `<p>Made ${dateText(made)}</p>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to ${page.of}</a>
<header><h1>${escapeHtml(title)}</h1>${date}</header>
<nav aria-label="Parts of ${page.of}"><ul>${links.join('')}</ul></nav>
<main id="main">
${sections.map(({ html }) => html).join('\n')}
</main>
</body>
</html>
`;
}

const STYLE = `
:root{--text:#1c2733;--page:#ffffff;--card:#f4f6f8;--line:#c3ccd6;--link:#10558f;--wasted:#a3122a}
@media (prefers-color-scheme:dark){:root{--text:#e4eaf0;--page:#12181f;--card:#1b232c;--line:#3a4653;--link:#7dbcf0;--wasted:#ff8f9c}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:64rem;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:0 0 .75rem}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-100rem}.skip:focus{left:1rem;top:1rem;background:var(--page);padding:.5rem}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;list-style:none}
section{margin:1.5rem 0;padding:1rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:1rem;margin:0}
dt{font-size:.85rem}dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
figure{margin:0 0 1rem}figcaption{font-size:.85rem}
.chart svg{width:100%;height:auto;display:block}
.chart.wide svg{width:auto;max-width:none}
.chart.dark{display:none}
@media (prefers-color-scheme:dark){.chart.light{display:none}.chart.dark{display:block}}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid var(--line)}
td.n{white-space:nowrap}
tbody th{font-weight:normal;overflow-wrap:anywhere;min-width:14rem}
h3{font-size:1rem;margin:1rem 0 .5rem}
.tree,.tree ul{list-style:none;margin:0;padding-left:1.25rem;font-size:.85rem}
.tree{padding-left:0}
.tree summary{cursor:pointer;overflow-wrap:anywhere}
.tree li{padding:.1rem 0}
.size{font-variant-numeric:tabular-nums;white-space:nowrap}
.wasted{color:var(--wasted);font-weight:600}
@media print{nav,.skip{display:none}section{break-inside:avoid}}
`;
