import { type FileHandle, open } from 'node:fs/promises';
import { CrlRefused } from '../../domain/crl/judge-crl.ts';

const PEM = '-----BEGIN';

/** Writes a CRL to a file as it comes, PEM as the DER that it holds. @throws CrlRefused `too-large`, `malformed` */
export async function writeCrl(path: string, body: AsyncIterable<Buffer>, maxBytes: number): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await copy(file, body, maxBytes);
  } finally {
    await file.close();
  }
}

async function copy(file: FileHandle, body: AsyncIterable<Buffer>, maxBytes: number): Promise<void> {
  let length = 0;
  let decode: ((chunk: Buffer) => Buffer) | undefined;
  let isFirst = true;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw new CrlRefused('too-large', `CRL: more than ${maxBytes} octets`);
    if (isFirst && chunk.toString('latin1', 0, PEM.length) === PEM) decode = pemDecoder();
    isFirst = false;
    await file.writeFile(decode === undefined ? chunk : decode(chunk));
  }
}

/** Takes PEM in pieces, cut anywhere. */
function pemDecoder(): (chunk: Buffer) => Buffer {
  let line = '';
  let digits = '';
  let isInside = false;
  return (chunk) => {
    const lines = (line + chunk.toString('latin1')).split('\n');
    line = lines.pop() ?? '';
    if (line.length > 4096) throw new CrlRefused('malformed', 'CRL: a line of its PEM is too long');
    for (const text of lines.map((one) => one.trim())) {
      if (text.startsWith('-----')) isInside = text === '-----BEGIN X509 CRL-----';
      else if (isInside) digits += text;
    }
    if (line.startsWith('-----END')) isInside = false;
    const whole = digits.length - (digits.length % 4);
    const octets = Buffer.from(digits.slice(0, whole), 'base64');
    digits = digits.slice(whole);
    return octets;
  };
}
