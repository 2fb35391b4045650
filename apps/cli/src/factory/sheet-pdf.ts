import type { SheetPage } from './label-sheet.ts';

const POINTS_PER_MM = 72 / 25.4;

/**
 * Pages as a PDF 1.4: filled rectangles, and text in two of the fonts that every reader has (ISO 32000-1 §9.6.2.2),
 * which is all that labels need.
 */
export function pdfOf(pages: readonly SheetPage[]): Buffer {
  const [catalog, tree, sans, mono, firstPage] = [1, 2, 3, 4, 5];
  const kids = pages.map((_, i) => `${firstPage + 2 * i} 0 R`).join(' ');
  const objects = [
    `<< /Type /Catalog /Pages ${tree} 0 R >>`,
    `<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`,
    font('Helvetica'),
    font('Courier-Bold'),
    ...pages.flatMap((page, i) => {
      const content = contentOf(page);
      const box = `[0 0 ${n(page.width)} ${n(page.height)}]`;
      const fonts = `<< /Font << /sans ${sans} 0 R /mono ${mono} 0 R >> >>`;
      return [
        `<< /Type /Page /Parent ${tree} 0 R /MediaBox ${box} /Resources ${fonts} /Contents ${firstPage + 2 * i + 1} 0 R >>`,
        `<< /Length ${Buffer.byteLength(content, 'latin1')} >>\nstream\n${content}\nendstream`,
      ];
    }),
  ];
  let file = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const offset = file.length;
    file += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const size = objects.length + 1;
  const table = `xref\n0 ${size}\n0000000000 65535 f \n${offsets.join('')}`;
  const trailer = `trailer\n<< /Size ${size} /Root ${catalog} 0 R >>\nstartxref\n${file.length}\n%%EOF\n`;
  return Buffer.from(file + table + trailer, 'latin1');
}

function font(name: string): string {
  return `<< /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding >>`;
}

/** PDF counts upwards from the lower left corner. */
function contentOf({ height, rects, texts }: SheetPage): string {
  const boxes = rects.map(({ x, y, w, h }) => `${n(x)} ${n(height - y - h)} ${n(w)} ${n(h)} re`);
  const words = texts.map(
    ({ x, y, size, font: face, text }) =>
      `BT /${face} ${n(size)} Tf ${n(x)} ${n(height - y)} Td (${escaped(text)}) Tj ET`,
  );
  return [...boxes, 'f', ...words].join('\n');
}

function n(millimetres: number): string {
  return (millimetres * POINTS_PER_MM).toFixed(3);
}

/** What is not in the fonts' encoding has no place on a label. */
function escaped(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/[\\()]/g, '\\$&');
}
