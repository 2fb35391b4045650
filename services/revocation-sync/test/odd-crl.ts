import { createPrivateKey, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCertificatePem } from '@signet/pki';
import type { OpensslCa } from './pki.ts';

export type OddEntry = {
  /** Hex, as it is put in. */
  readonly serialNumber: string;
  /** Unix ms. */
  readonly revokedAt?: number;
  /** OID, in DER hex, of a critical extension that nobody knows. */
  readonly critical?: string;
};

/** 1.2.3.4 */
export const UNKNOWN_OID = '06032a0304';

/** A CRL that no tool would make, rightly signed by the CA. */
export async function oddCrl(
  ca: OpensslCa,
  entries: readonly OddEntry[],
  {
    number = 11,
    critical,
    thisUpdate = Date.now() - 1000,
  }: {
    /** `none`: the list has no cRLNumber. */
    readonly number?: number | 'none';
    readonly critical?: string;
    /** Unix ms. */
    readonly thisUpdate?: number;
  } = {},
): Promise<Buffer> {
  const { subjectDer } = parseCertificatePem(await ca.certificate);
  const key = createPrivateKey(await readFile(join(ca.folder, 'ca.key'), 'utf8'));
  const algorithm = der(0x30, Buffer.from('06082a8648ce3d040302', 'hex'));
  const extension = (oid: string, isCritical: boolean, value: Buffer) =>
    der(
      0x30,
      Buffer.from(oid, 'hex'),
      ...(isCritical ? [Buffer.from('0101ff', 'hex')] : []),
      der(0x04, value),
    );
  const listed = entries.map(({ serialNumber, revokedAt = Date.now() - 60_000, critical: oid }) =>
    der(
      0x30,
      der(0x02, Buffer.from(serialNumber, 'hex')),
      time(revokedAt),
      ...(oid === undefined ? [] : [der(0x30, extension(oid, true, Buffer.alloc(2)))]),
    ),
  );
  const extensions = [
    ...(number === 'none' ? [] : [extension('0603551d14', false, der(0x02, Buffer.from([number])))]),
    ...(critical === undefined ? [] : [extension(critical, true, Buffer.alloc(2))]),
  ];
  const tbs = der(
    0x30,
    der(0x02, Buffer.from([1])),
    ...[algorithm, Buffer.from(subjectDer), time(thisUpdate), time(Date.now() + 86_400_000)],
    ...(listed.length === 0 ? [] : [der(0x30, ...listed)]),
    ...(extensions.length === 0 ? [] : [der(0xa0, der(0x30, ...extensions))]),
  );
  const signature = sign('sha256', tbs, key);
  return der(0x30, tbs, algorithm, der(0x03, Buffer.from([0]), signature));
}

function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(content);
  const bytes: number[] = [];
  for (let rest = whole.length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  const length = whole.length < 0x80 ? [whole.length] : [0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.from([tag, ...length]), whole]);
}
