import encodeQr from 'qr';
import { CliError } from '../cli-error.ts';

/** What a label says. `url` is what its QR code holds. */
export type Label = {
  readonly id: string;
  readonly serial: string;
  readonly model?: string;
  readonly code: string;
  readonly url: string;
};

/** A page as it is drawn, in millimetres from its upper left corner. */
export type SheetPage = {
  readonly width: number;
  readonly height: number;
  /** Black. */
  readonly rects: readonly {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  }[];
  /** `y` is the base line; `size` the height of the type. */
  readonly texts: readonly {
    readonly x: number;
    readonly y: number;
    readonly size: number;
    readonly text: string;
    readonly font: 'sans' | 'mono';
  }[];
};

export type SheetLayout = { readonly paper: string; readonly columns: number; readonly rows: number };

const papers: Readonly<Record<string, { width: number; height: number }>> = {
  a4: { width: 210, height: 297 },
  letter: { width: 215.9, height: 279.4 },
};
/** Around the sheet, and around what is on a label. */
const [MARGIN, PADDING] = [8, 2];
/** White around a QR code, in modules (ISO/IEC 18004 §9.1). */
const QUIET = 4;
const SMALLEST_MODULE_MM = 0.25;

/** Sheets of labels, row by row. @throws CliError where they are too small to be read */
export function* labelPages(labels: readonly Label[], layout: SheetLayout): Generator<SheetPage> {
  const paper = papers[layout.paper];
  if (paper === undefined) throw new CliError(`--paper: ${Object.keys(papers).join(' or ')}`);
  const { columns, rows } = layout;
  const cell = {
    width: (paper.width - 2 * MARGIN) / columns,
    height: (paper.height - 2 * MARGIN) / rows,
  };
  for (let first = 0; first < labels.length; first += columns * rows) {
    const rects: SheetPage['rects'][number][] = [];
    const texts: SheetPage['texts'][number][] = [];
    labels.slice(first, first + columns * rows).forEach((label, i) => {
      const x = MARGIN + (i % columns) * cell.width;
      const y = MARGIN + Math.floor(i / columns) * cell.height;
      drawLabel(label, { x, y, ...cell }, rects, texts);
    });
    yield { ...paper, rects, texts };
  }
}

function drawLabel(
  { id, serial, model, code, url }: Label,
  at: { x: number; y: number; width: number; height: number },
  rects: SheetPage['rects'][number][],
  texts: SheetPage['texts'][number][],
): void {
  const matrix = encodeQr(url, 'raw', { ecc: 'medium', border: QUIET });
  const side = Math.min(at.height, at.width * 0.55);
  const module = side / matrix.length;
  if (module < SMALLEST_MODULE_MM)
    throw new CliError('labels: too small for a readable QR code; use fewer --columns or --rows');
  const top = at.y + (at.height - side) / 2;
  for (const [row, line] of matrix.entries())
    for (const { from, to } of runs(line))
      rects.push({ x: at.x + from * module, y: top + row * module, w: (to - from) * module, h: module });

  const [half, rest] = [code.slice(0, code.length / 2), code.slice(code.length / 2 + 1)];
  const lines = [
    { text: id, font: 'sans' },
    ...(serial === id ? [] : [{ text: serial, font: 'sans' } as const]),
    ...(model === undefined || model === '' ? [] : [{ text: model, font: 'sans' } as const]),
    { text: half.replace(/-$/, ''), font: 'mono' },
    { text: rest, font: 'mono' },
  ] as const;
  const room = at.width - side - PADDING;
  const size = Math.min(
    (at.height - 2 * PADDING) / (lines.length * 1.4),
    ...lines.map(({ text }) => room / (text.length * 0.62)),
    4,
  );
  const start = at.y + (at.height - lines.length * size * 1.4) / 2 + size;
  for (const [i, line] of lines.entries())
    texts.push({ ...line, x: at.x + side, y: start + i * size * 1.4, size });
}

function* runs(line: readonly boolean[]): Generator<{ from: number; to: number }> {
  for (let from = line.indexOf(true); from >= 0; ) {
    const gap = line.indexOf(false, from);
    const to = gap < 0 ? line.length : gap;
    yield { from, to };
    from = line.indexOf(true, to);
  }
}
