import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { csvLine, parseCsv } from './csv.ts';

const columns = { required: ['serial'], optional: ['id', 'model'] };
const read = (text: string) => parseCsv('list.csv', text, columns);

describe('a CSV list', () => {
  test('gives back what was written', () => {
    const cell = fc.string().filter((text) => text === text.trim());
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell)), (rows) => {
        const text = csvLine(['serial', 'id']) + rows.map((row) => csvLine(row)).join('');
        expect(read(text).map(({ values }) => [values.serial, values.id])).toEqual(rows);
      }),
    );
  });

  test('may have a BOM, CRLF, empty lines, quotes, and no newline at its end', () => {
    const text = '\uFEFFserial,model\r\n\r\nSN-1,"P 200, ""wide"""\r\n"SN-2",\r\nSN-3,x';
    expect(read(text)).toEqual([
      { line: 3, values: { serial: 'SN-1', model: 'P 200, "wide"' } },
      { line: 4, values: { serial: 'SN-2', model: '' } },
      { line: 5, values: { serial: 'SN-3', model: 'x' } },
    ]);
  });

  test.each([
    ['', 'list.csv:1: empty; the first line must name the columns'],
    ['id\nx', 'list.csv:1: column "serial" is missing'],
    ['serial,colour\n', 'list.csv:1: column "colour" is not one of serial, id, model'],
    ['serial,serial\n', 'list.csv:1: column "serial" is there twice'],
    ['serial,id\nSN-1\n', 'list.csv:2: 1 values where the columns are 2'],
    ['serial\nSN-1\nSN-2,x\n', 'list.csv:3: 2 values where the columns are 1'],
    ['serial\n"SN-1\n', 'list.csv:2: not CSV: a stray quote'],
    ['serial\nSN"1\n', 'list.csv:2: not CSV: a stray quote'],
  ])('refuses %j', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test('has no cell that a spreadsheet would run', () => {
    expect(csvLine(['=1+1', '@x', '-x', '-1', '+1', 'a,b', 'a-b'])).toBe(
      `"'=1+1","'@x","'-x","'-1","'+1","a,b",a-b\r\n`,
    );
    for (const first of ['\t', '\r', '\n', '\u0000'])
      expect(csvLine([`${first}=1`])).toBe(`"'${first}=1"\r\n`);
    for (const sign of ['\uff1d', '\uff0b', '\uff0d', '\uff20'])
      expect(csvLine([`${sign}1`])).toBe(`"'${sign}1"\r\n`);
    expect(csvLine(["'=1"])).toBe(`"''=1"\r\n`);
  });
});
