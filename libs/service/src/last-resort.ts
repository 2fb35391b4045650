import { rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { readIfThere, replaceFile } from '@signet/files';
import { generateKeyPair, issueSelfSigned, keySigner } from '@signet/pki';
import type { Logger } from './logger.ts';
import { coveredNames, type Held, readIdentity } from './tls-identity.ts';

/** Its dates say nothing, so that no clock can be wrong about it. */
const SINCE = Date.UTC(2000, 0, 1);
const UNTIL = Date.UTC(9998, 0, 1);

export type LastResortOptions = {
  readonly service: string;
  readonly names: readonly string[];
  readonly dataDir: string;
  readonly log: Logger;
};

/** `<dataDir>/tls/<service>.last-resort.pem`, mode 0600, key and certificate together. */
const fileOf = ({ service, dataDir }: LastResortOptions) =>
  join(dataDir, 'tls', `${service}.last-resort.pem`);

/**
 * The certificate that a listener shows while no CA gives it one: self-signed, trusted by its fingerprint or not at
 * all. It is kept on disk, so that the fingerprint outlasts a restart.
 */
export async function lastResort(options: LastResortOptions): Promise<Held> {
  const kept = await keptFor(options);
  if (kept !== undefined) return kept;
  const { service, names, log } = options;
  const { privateKey } = generateKeyPair('P-256');
  const certificate = await issueSelfSigned({
    subject: { commonName: `${service} (last resort)` },
    sans: {
      dns: names.filter((name) => isIP(name) === 0),
      ips: names.filter((name) => isIP(name) !== 0),
    },
    signer: keySigner(privateKey),
    notBefore: SINCE,
    notAfter: UNTIL,
  });
  const text = `${privateKey.export({ type: 'pkcs8', format: 'pem' })}${certificate.pem()}`;
  await replaceFile(fileOf(options), text).catch((error: unknown) =>
    log.warn({ err: error }, 'server certificate of last resort: not kept on disk'),
  );
  return readIdentity(text);
}

/** Removes it: the next one has another key, and another fingerprint. */
export async function dropLastResort(options: LastResortOptions): Promise<void> {
  await rm(fileOf(options), { force: true }).catch((error: unknown) =>
    options.log.warn({ err: error }, 'server certificate of last resort: not removed'),
  );
}

async function keptFor(options: LastResortOptions): Promise<Held | undefined> {
  try {
    const text = await readIfThere(fileOf(options));
    if (text === undefined) return undefined;
    const held = readIdentity(text);
    const covered = coveredNames(held.leaf);
    return options.names.every((name) => covered.has(name)) ? held : undefined;
  } catch (error) {
    options.log.warn({ err: error }, 'server certificate of last resort: the kept one cannot be read');
    return undefined;
  }
}
