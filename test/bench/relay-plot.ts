/** The plot of `npm run bench -- relay`: CPU a packet and added delay over streams. */
import type { Comparison } from './relay.ts';

const [width, height, left, top, plotWidth, plotHeight] = [760, 300, 56, 40, 280, 200];
const lines = [
  ['rtpengine', 'rtpengine 10.5', '#b4552d'],
  ['tacet', 'Tacet', '#1f6f8b'],
  ['floor', 'bare relay in C', '#8a8a8a'],
] as const;

export function plotRelay(compared: readonly Comparison[]): string {
  const panels = [
    panel(compared, 0, 'CPU, microseconds a packet', ({ usPerPacket }) => usPerPacket),
    panel(compared, 1, 'added delay, median, microseconds', ({ p50Us }) => p50Us),
  ];
  const keys = lines.map(
    ([, name, colour], index) =>
      `<rect x="${left + index * 140}" y="${height - 20}" width="12" height="4" fill="${colour}"/>` +
      `<text x="${left + 18 + index * 140}" y="${height - 14}">${name}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#333">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...panels,
    ...keys,
    '</svg>\n',
  ].join('\n');
}

type Reading = (cost: Comparison['tacet']) => number;

function panel(compared: readonly Comparison[], index: number, title: string, read: Reading): string {
  const x0 = left + index * (plotWidth + 80);
  const most = Math.max(...compared.map(({ streams }) => streams));
  const highest = niceCeiling(
    Math.max(...compared.flatMap((each) => lines.map(([name]) => read(each[name])))),
  );
  const x = (streams: number): number => Math.round(x0 + (streams / most) * plotWidth);
  const y = (value: number): number => Math.round(top + plotHeight - (value / highest) * plotHeight);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<line x1="${x0}" x2="${x0 + plotWidth}" y1="${y(part * highest)}" y2="${y(part * highest)}" stroke="#e4e4e4"/>` +
      `<text x="${x0 - 6}" y="${y(part * highest) + 4}" text-anchor="end">${part * highest}</text>`,
  );
  const streams = compared.map(
    (each) =>
      `<text x="${x(each.streams)}" y="${top + plotHeight + 16}" text-anchor="middle">${each.streams}</text>`,
  );
  const curves = lines.map(([name, , colour]) => {
    const points = compared.map((each) => `${x(each.streams)},${y(read(each[name]))}`).join(' ');
    return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>`;
  });
  return [
    `<text x="${x0}" y="${top - 14}" font-weight="bold">${title}</text>`,
    ...ticks,
    ...streams,
    ...curves,
    `<text x="${x0 + plotWidth}" y="${top + plotHeight + 32}" text-anchor="end">streams</text>`,
  ].join('\n');
}

/** The next of 1, 2, 4, 8 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 8, 10].map((each) => each * power).find((each) => each >= value) ?? value;
}
