import type { SheetPage } from './label-sheet.ts';

/** A page as an SVG of its size on paper. */
export function svgOf({ width, height, rects, texts }: SheetPage): string {
  const path = rects.map(({ x, y, w, h }) => `M${n(x)} ${n(y)}h${n(w)}v${n(h)}h-${n(w)}z`).join('');
  const words = texts.map(
    ({ x, y, size, font, text }) =>
      `<text x="${n(x)}" y="${n(y)}" font-size="${n(size)}" font-family="${families[font]}">${escaped(text)}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}mm" height="${height}mm" viewBox="0 0 ${width} ${height}">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<path shape-rendering="crispEdges" d="${path}"/>`,
    ...words,
    '</svg>\n',
  ].join('\n');
}

const families = { sans: 'sans-serif', mono: 'monospace' } as const;

function n(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
