/** A line of a file as it was written, without its end. `isTooLong`: there was more of it, which is left out. */
export type Line = { readonly number: number; readonly text: string; readonly isTooLong: boolean };

/** Longer than anything that a claim can say. */
const LONGEST = 4096;

/**
 * The lines of a stream of UTF-8, numbered from 1, empty ones left out: ended by LF, CR LF or CR; a byte order mark is
 * no part of the first. Whatever comes, no more than one line is kept.
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8');
  let number = 1;
  let text = '';
  let isTooLong = false;
  let endsWithCr = false;
  const append = (part: string): void => {
    isTooLong ||= text.length + part.length > LONGEST;
    text = isTooLong ? (text + part.slice(0, LONGEST)).slice(0, LONGEST) : text + part;
  };
  const take = (): Line | undefined => {
    const line = { number, text, isTooLong };
    number++;
    text = '';
    isTooLong = false;
    return line.text.trim() === '' && !line.isTooLong ? undefined : line;
  };
  for await (const chunk of stream) {
    const decoded = decoder.decode(chunk, { stream: true });
    let start = 0;
    for (const match of decoded.matchAll(/\r\n|\n|\r/g)) {
      const isRestOfEnd = endsWithCr && match.index === 0 && match[0] === '\n';
      endsWithCr = false;
      append(decoded.slice(start, match.index));
      start = match.index + match[0].length;
      const line = isRestOfEnd ? undefined : take();
      if (line !== undefined) yield line;
    }
    append(decoded.slice(start));
    if (decoded !== '') endsWithCr = decoded.endsWith('\r');
  }
  append(decoder.decode());
  const last = take();
  if (last !== undefined) yield last;
}

/** Why a line has no fields, in words that say what is wrong with it. */
export class CsvError extends Error {
  override readonly name = 'CsvError';
}

/**
 * The fields of a line (RFC 4180); a quoted field may hold the separator and doubled quotes, but no line break, so that
 * a quote which is not closed costs one line. (csv-parse reads on
 * to the end of the file, or, given line by line, takes 50 times as long: a file has ten million lines.) @throws CsvError
 */
export function fieldsOf(text: string, separator: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= text.length; ) {
    if (text[at] === '"') {
      const end = closingQuote(text, at);
      fields.push(
        text
          .slice(at + 1, end)
          .replaceAll('""', '"')
          .trim(),
      );
      at = end + 1;
      if (at < text.length && text[at] !== separator)
        throw new CsvError(`field ${fields.length}: text after its closing quote`);
    } else {
      const end = text.indexOf(separator, at);
      const field = text.slice(at, end < 0 ? text.length : end);
      if (field.includes('"'))
        throw new CsvError(`field ${fields.length + 1}: a quote in a field that has none around it`);
      fields.push(field.trim());
      at = end < 0 ? text.length : end;
    }
    at++;
  }
  return fields;
}

function closingQuote(text: string, from: number): number {
  for (let at = from + 1; ; at += 2) {
    at = text.indexOf('"', at);
    if (at < 0) throw new CsvError('a quote is not closed on this line');
    if (text[at + 1] !== '"') return at;
  }
}
