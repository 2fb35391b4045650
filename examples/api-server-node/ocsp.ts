import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Certificate } from '@signet/pki';

const run = promisify(execFile);

/** Asks the responder that a certificate names, by `openssl ocsp`, which verifies the answer; kept for some seconds. */
export class Ocsp {
  readonly #authorities: readonly Certificate[];
  readonly #keptMs: number;
  readonly #answers = new Map<string, { readonly at: number; readonly isGood: Promise<boolean> }>();

  constructor(authorities: readonly Certificate[], keptMs: number) {
    this.#authorities = authorities;
    this.#keptMs = keptMs;
  }

  /** False where it is revoked or unknown, and where nobody answers. */
  isGood(certificate: Certificate): Promise<boolean> {
    const now = Date.now();
    for (const [serial, { at }] of this.#answers) {
      if (now - at < this.#keptMs) break;
      this.#answers.delete(serial);
    }
    const known = this.#answers.get(certificate.serialNumber);
    if (known !== undefined) return known.isGood;
    const isGood = this.#ask(certificate).catch((error: Error) => {
      console.error(`OCSP: ${error.message}`);
      return false;
    });
    this.#answers.set(certificate.serialNumber, { at: now, isGood });
    return isGood;
  }

  async #ask(certificate: Certificate): Promise<boolean> {
    const [url] = certificate.ocspUrls;
    const issuer = this.#authorities.find(
      ({ subjectDer }) => Buffer.compare(subjectDer, certificate.issuerDer) === 0,
    );
    if (url === undefined || issuer === undefined) return false;
    const folder = await mkdtemp(join(tmpdir(), 'ocsp-'));
    try {
      const file = (name: string) => join(folder, `${name}.pem`);
      await writeFile(file('leaf'), certificate.pem());
      await writeFile(file('issuer'), issuer.pem());
      await writeFile(file('trust'), this.#authorities.map((authority) => authority.pem()).join(''));
      const { stdout, stderr } = await run('openssl', [
        ...['ocsp', '-url', url, '-issuer', file('issuer'), '-cert', file('leaf')],
        ...['-CAfile', file('trust'), '-timeout', '5'],
      ]);
      return stderr.includes('Response verify OK') && stdout.startsWith(`${file('leaf')}: good`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}
