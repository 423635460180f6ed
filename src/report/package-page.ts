import { corner, drawSvg, shortText, type Theme } from './charts.ts';
import { figure, htmlPage, section, table } from './html.ts';
import { type GraphPackage, type PackageGraph, packageGraph } from './package-graph.ts';

/** Distance of columns and rows, and the margins around them. */
const COLUMN = 190;
const ROW = 18;
const MARGIN = 20;
/** Characters of a name that fit before the next column. */
const NAME = 26;

/** Which package needs which, from left to right. */
function packageChart({ nodes, links }: PackageGraph, theme: Theme): string {
  const width = Math.max(1, ...nodes.map(({ column }) => column + 1)) * COLUMN;
  const height = Math.max(1, ...nodes.map(({ row }) => row + 1)) * ROW;
  const data = nodes.map(({ id, name, column, row, top }) => ({
    id: `package ${id}`,
    name: shortText(name, NAME),
    x: column * COLUMN,
    y: row * ROW,
    symbolSize: 8,
    itemStyle: { color: top ? theme.critical : theme.ran },
  }));
  const option = {
    series: [
      {
        type: 'graph',
        layout: 'none',
        ...{ left: MARGIN, top: MARGIN, width, height },
        data: [...data, corner('corner 1', 0, 0), corner('corner 2', width, height)],
        links: links.map(({ source, target }) => ({
          source: `package ${source}`,
          target: `package ${target}`,
        })),
        edgeSymbol: ['none', 'arrow'],
        edgeSymbolSize: 5,
        lineStyle: { color: theme.cached, width: 0.7, opacity: 1, curveness: 0.1 },
        label: { show: true, position: 'right', color: theme.text, fontSize: 10 },
      },
    ],
  };
  return drawSvg(option, height + 2 * MARGIN, width + 2 * MARGIN);
}

/**
 * Packages and which needs which as one HTML page with nothing from elsewhere in it: a picture in both appearances, and a
 * table of everything that is in it.
 */
export function packagesPage(of: {
  /** What the packages are in: `gateway 1.0.0`. */
  readonly title: string;
  readonly packages: readonly GraphPackage[];
}): string {
  const { packages } = of;
  const graph = packageGraph(packages);
  const users = new Map<string, number>();
  for (const id of packages.flatMap((p) => p.needs)) users.set(id, (users.get(id) ?? 0) + 1);
  const names = new Map(packages.map((p) => [p.id, p.name]));
  const caption = [
    'Each mark needs those to the right of it that its arrows lead to. Orange: nothing else needs it.',
    ...graph.said,
  ];
  return htmlPage({
    title: `Packages of ${of.title}`,
    of: 'the packages',
    sections: [
      section(
        'graph',
        'Dependencies',
        figure((theme) => packageChart(graph, theme), caption.join(' '), 'wide'),
      ),
      section(
        'packages',
        `${packages.length} packages`,
        table(
          ['package', 'version', 'source', 'needed by', 'needs'],
          packages.map((p) => [
            ...[p.name, p.version, p.source, String(users.get(p.id) ?? 0)],
            p.needs.map((id) => names.get(id) ?? id).join(' '),
          ]),
        ),
      ),
    ],
  });
}
