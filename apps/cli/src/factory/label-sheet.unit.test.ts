import { createRequire } from 'node:module';
import { claimCodeOf, claimUrl, parseScannedClaim } from '@signet/contracts';
import { describe, expect, test } from 'vitest';
import { type Label, labelPages, type SheetPage } from './label-sheet.ts';
import { pdfOf } from './sheet-pdf.ts';
import { svgOf } from './sheet-svg.ts';

/** A decoder that is not by whoever made the encoder. */
const { default: readQr } = createRequire(import.meta.url)('jsqr') as typeof import('jsqr');

const layout = { paper: 'a4', columns: 3, rows: 8 };

function labelOf(i: number): Label {
  const fingerprint = (i * 7919).toString(16).padStart(64, '0').split('').reverse().join('');
  const code = claimCodeOf(fingerprint);
  const url = claimUrl('https://console.example.com', code);
  return { id: `pump-${i}`, serial: `SN-000${i}`, model: 'P200 & <co>', code, url };
}

type Rect = { x: number; y: number; w: number; h: number };

/** What a camera would see of one part of a sheet: black rectangles on white. */
function photograph(rects: readonly Rect[], of: Rect, pixelsPerMm = 12) {
  const [width, height] = [Math.ceil(of.w * pixelsPerMm), Math.ceil(of.h * pixelsPerMm)];
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
  for (const { x, y, w, h } of rects)
    for (let row = px(y - of.y); row < px(y + h - of.y); row++)
      for (let column = px(x - of.x); column < px(x + w - of.x); column++)
        if (row >= 0 && row < height && column >= 0 && column < width)
          pixels.fill(0, (row * width + column) * 4, (row * width + column) * 4 + 3);
  return readQr(pixels, width, height)?.data;

  function px(mm: number): number {
    return Math.round(mm * pixelsPerMm);
  }
}

const cell = (i: number): Rect => {
  const [w, h] = [(210 - 16) / 3, (297 - 16) / 8];
  return { x: 8 + (i % 3) * w, y: 8 + Math.floor(i / 3) * h, w, h };
};

/** Rectangles as a reader of the SVG sees them. */
function rectsOfSvg(svg: string): Rect[] {
  const [, path = ''] = / d="([^"]*)"/.exec(svg) ?? [];
  return [...path.matchAll(/M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)/g)].map(([, x, y, w, h]) => ({
    ...{ x: Number(x), y: Number(y), w: Number(w), h: Number(h) },
  }));
}

/** Rectangles as a reader of the PDF sees them, back in millimetres from the upper left. */
function rectsOfPdf(pdf: string, { height }: SheetPage): Rect[] {
  const mm = (points: string | undefined) => (Number(points) * 25.4) / 72;
  return [...pdf.matchAll(/^([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) re$/gm)].map(([, x, y, w, h]) => ({
    ...{ x: mm(x), y: height - mm(y) - mm(h), w: mm(w), h: mm(h) },
  }));
}

describe('a sheet of labels', () => {
  const labels = Array.from({ length: 30 }, (_, i) => labelOf(i + 1));
  const pages = [...labelPages(labels, layout)];

  test('F69: has on each label a QR code that reads as the claim page with the code of its device', () => {
    expect(pages).toHaveLength(2);
    const rects = rectsOfSvg(svgOf(pages[0] ?? expect.unreachable()));
    for (const i of [0, 1, 11, 23]) {
      const label = labels[i] ?? expect.unreachable();
      const seen = photograph(rects, cell(i));
      expect(seen).toBe(label.url);
      expect(parseScannedClaim(seen ?? '').code).toBe(label.code);
    }
    expect(photograph(rectsOfSvg(svgOf(pages[1] ?? expect.unreachable())), cell(5))).toBe(labels[29]?.url);
  });

  test('is the same as a PDF, whose table of objects is right', () => {
    const pdf = pdfOf(pages).toString('latin1');
    const [first] = pdf.split('endstream');
    expect(photograph(rectsOfPdf(first ?? '', pages[0] ?? expect.unreachable()), cell(11))).toBe(
      labels[11]?.url,
    );
    expect(pdf).toContain('(pump-30) Tj');
    const [, table = ''] = /^xref\n0 \d+\n([\s\S]*?)trailer/m.exec(pdf) ?? [];
    const offsets = table
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => Number(line.slice(0, 10)));
    offsets.forEach((offset, i) => {
      expect(pdf.slice(offset).startsWith(`${i + 1} 0 obj`)).toBe(true);
    });
    expect(Number(/startxref\n(\d+)/.exec(pdf)?.[1])).toBe(pdf.indexOf('\nxref\n') + 1);
  });

  test('says who the device is, in words that cannot break the page', () => {
    const svg = svgOf(pages[0] ?? expect.unreachable());
    expect(svg).toContain('>P200 &amp; &lt;co&gt;</text>');
    const printed = [...svg.matchAll(/monospace">([^<]*)</g)].slice(0, 2).map(([, text]) => text);
    expect(printed.join('-')).toBe(labels[0]?.code);
  });

  test('refuses labels that no phone could read', () => {
    expect(() => [...labelPages(labels, { paper: 'a4', columns: 20, rows: 30 })]).toThrow(
      'labels: too small for a readable QR code; use fewer --columns or --rows',
    );
    expect(() => [...labelPages(labels, { ...layout, paper: 'a5' })]).toThrow('--paper: a4 or letter');
  });
});
