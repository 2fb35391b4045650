import { claimCodeOf } from '@signet/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClaimRow, readClaimRows } from './claim-rows.ts';
import { SeenLines } from './seen-lines.ts';

const fingerprint = (n: number) => n.toString(16).padStart(64, '0');
const [one, two] = [fingerprint(1), fingerprint(2)];

async function* inPieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(text: string | Uint8Array, size = 7): Promise<ClaimRow[]> {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  return Array.fromAsync(await readClaimRows(inPieces(bytes, size)));
}

describe('a CSV of claims', () => {
  it.each([
    ['line feeds', `fingerprint,deviceId,group\n${one},pump-1,hall\n${two},,\n`],
    ['CR LF, and no end of the last line', `fingerprint,deviceId,group\r\n${one},pump-1,hall\r\n${two},,`],
    ['CR alone', `fingerprint,deviceId,group\r${one},pump-1,hall\r${two},,\r`],
    ['a byte order mark', `\uFEFFfingerprint,deviceId,group\n${one},pump-1,hall\n${two},,\n`],
    ['quotes', `"fingerprint","deviceId","group"\n"${one}","pump-1","hall"\n${two},"",""\n`],
    ['semicolons, as some spreadsheets write', `Fingerprint;Device ID;Group\n${one};pump-1;hall\n${two};;\n`],
    ['tabs', `fingerprint\tdevice_id\tgroup\n${one}\tpump-1\thall\n${two}\t\t\n`],
    [
      'fingerprints as openssl prints them',
      `SHA-256,id,group\n${one.match(/../g)?.join(':').toUpperCase()},pump-1,hall\n${two},,\n`,
    ],
  ])('is read with %s', async (_, text) => {
    for (const size of [1, 3, 64, 10_000]) {
      expect(await read(text, size)).toEqual([
        { line: 2, item: { fingerprint: one, deviceId: 'pump-1', group: 'hall' } },
        { line: 3, item: { fingerprint: two } },
      ]);
    }
  });

  it('may have fingerprints as openssl prints them', async () => {
    const printed = `sha256 Fingerprint=${one.toUpperCase().match(/../g)?.join(':')}`;
    expect(await read(`fingerprint\n${printed}\n`)).toEqual([{ line: 2, item: { fingerprint: one } }]);
  });

  it('F63: may name devices by the claim codes of their labels', async () => {
    const code = claimCodeOf(one);
    const rows = await read(
      `code\n${code.toLowerCase().replaceAll('-', ' ')}\nhttps://x.example/claim?code=${code}\n`,
    );
    expect(rows).toEqual([
      { line: 2, item: { code } },
      { line: 3, item: { code } },
    ]);
  });

  it.each([
    [
      'signet factory batch',
      `serial,id,model,fingerprint,code,certificate serial\nSN-1,pump-1,P200,${one},${claimCodeOf(one)},0a\n`,
    ],
    [
      'signet factory log',
      `made,id,serial,model,fingerprint,code,certificate serial,state,account\n2026-01-01T00:00:00Z,pump-1,SN-1,,${one},${claimCodeOf(one)},0a,manufactured,\n`,
    ],
  ])('may be the list that "%s" writes', async (_, text) => {
    expect(await read(text)).toEqual([{ line: 2, item: { fingerprint: one, deviceId: 'pump-1' } }]);
  });

  it.each([
    ['', 'line 1: the file is empty'],
    ['\uFEFF', 'line 1: the file is empty'],
    [`${one}\n`, /^line 1: "0{63}1" is no column; the first line names the columns/],
    ['fingerprint,colour\n', /^line 1: "colour" is no column/],
    ['deviceId,group\n', /^line 1: there is no column "fingerprint" or "code"/],
    ['fingerprint,id,device\n', /^line 1: column "deviceId" is there twice/],
    [Buffer.from('\uFEFFfingerprint\n', 'utf16le'), /^line 1: no text in UTF-8/],
  ])('whose first line is %j is refused as a whole', async (text, message) => {
    await expect(read(text)).rejects.toMatchObject({
      name: 'CsvError',
      message: expect.stringMatching(message),
    });
  });

  it('says of each wrong line what is wrong, and loses none of the others', async () => {
    const lines = [
      'fingerprint,deviceId',
      `${one},pump-1`,
      one.slice(0, 30),
      `${one.slice(0, 30)},pump-2`,
      `${one},pump-3,extra`,
      `"${one},pump-4`,
      `${one},pump 5`,
      `"${one}"x,pump-6`,
      `${one},pu"mp`,
      ',pump-7',
      'x'.repeat(100_000),
      '',
      `${two},pump-8`,
    ];
    expect(await read(lines.join('\n'), 1000)).toEqual([
      { line: 2, item: { fingerprint: one, deviceId: 'pump-1' } },
      { line: 3, fault: '1 fields where the first line has 2' },
      { line: 4, fault: 'fingerprint: 30 characters, where 64 hex digits are expected' },
      { line: 5, fault: '3 fields where the first line has 2' },
      { line: 6, fault: 'a quote is not closed on this line' },
      { line: 7, fault: 'deviceId: letters, digits, "_" and "-", at most 64' },
      { line: 8, fault: 'field 1: text after its closing quote' },
      { line: 9, fault: 'field 2: a quote in a field that has none around it' },
      { line: 10, fault: 'neither fingerprint nor code' },
      { line: 11, fault: 'the line is too long' },
      { line: 13, item: { fingerprint: two, deviceId: 'pump-8' } },
    ]);
  });

  it('a claim code with a wrong character is told from one that nobody has', async () => {
    const code = claimCodeOf(one);
    const wrong = `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`;
    expect(await read(`code\n${wrong}\n`)).toEqual([
      { line: 2, fault: 'claim code: a character is wrong; compare it with the label' },
    ]);
  });

  it('has as many rows as it has lines that are not empty, whatever bytes it is made of', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 1, max: 50 }),
        async (bytes, size) => {
          const text = Buffer.concat([Buffer.from('fingerprint\n'), bytes]);
          const rows = await read(text, size);
          const wanted = new TextDecoder()
            .decode(text)
            .split(/\r\n|\n|\r/)
            .filter((line) => line.trim() !== '');
          expect(rows).toHaveLength(wanted.length - 1);
        },
      ),
    );
  });
});

describe('lines seen before', () => {
  it('are found among 200,000 others', () => {
    const seen = new SeenLines();
    for (let line = 0; line < 200_000; line++) expect(seen.see(fingerprint(line), line)).toBeUndefined();
    for (const line of [0, 1, 77_777, 199_999]) expect(seen.see(fingerprint(line), 9)).toBe(line);
  });
});
