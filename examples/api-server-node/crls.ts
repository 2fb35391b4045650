import { type Certificate, type Crl, encodePem, parseCrl, verifyCrlSignature } from '@signet/pki';

type Kept = {
  readonly etag: string | null;
  readonly pem: string;
  readonly crl: Crl;
  readonly serials: Set<string>;
};

/** The CRLs of some CAs, each from its address; what cannot be had or believed leaves the one before in force. */
export class Crls {
  readonly #urls: readonly string[];
  readonly #authorities: readonly Certificate[];
  readonly #kept = new Map<string, Kept>();

  constructor(urls: readonly string[], authorities: readonly Certificate[]) {
    this.#urls = urls;
    this.#authorities = authorities;
  }

  /** For `crl` of Node's TLS options. */
  get pems(): string[] {
    return [...this.#kept.values()].map(({ pem }) => pem);
  }

  lists(certificate: Certificate): boolean {
    return [...this.#kept.values()].some(
      ({ crl, serials }) =>
        Buffer.compare(crl.issuerDer, certificate.issuerDer) === 0 && serials.has(certificate.serialNumber),
    );
  }

  /** Asks every address; true where there is something new. @throws Error that names each address that failed */
  async refresh(): Promise<boolean> {
    const outcomes = await Promise.allSettled(this.#urls.map((url) => this.#refreshOne(url)));
    const failures = outcomes.flatMap((outcome, index) =>
      outcome.status === 'rejected' ? [`${this.#urls[index]}: ${outcome.reason}`] : [],
    );
    const isNew = outcomes.some((outcome) => outcome.status === 'fulfilled' && outcome.value);
    if (failures.length > 0 && !isNew) throw new Error(failures.join('; '));
    for (const failure of failures) console.error(failure);
    return isNew;
  }

  async #refreshOne(url: string): Promise<boolean> {
    const known = this.#kept.get(url);
    const answer = await fetch(url, {
      headers: known?.etag ? { 'if-none-match': known.etag } : {},
      signal: AbortSignal.timeout(20_000),
    });
    if (answer.status === 304) return false;
    if (answer.status !== 200) throw new Error(`HTTP ${answer.status}`);
    const der = new Uint8Array(await answer.arrayBuffer());
    const crl = parseCrl(der);
    if (!this.#authorities.some((authority) => verifyCrlSignature(crl, authority)))
      throw new Error('not signed by a CA of API_TRUST');
    if (crl.baseNumber !== undefined || crl.unknownCritical.length > 0)
      throw new Error('a delta, or of a kind that is not known here');
    if ((crl.nextUpdate ?? 0) <= Date.now()) throw new Error('it has ended');
    if ((crl.number ?? 0n) < (known?.crl.number ?? 0n)) throw new Error('older than the one here');
    const serials = new Set(crl.entries.map(({ serialNumber }) => serialNumber));
    this.#kept.set(url, { etag: answer.headers.get('etag'), pem: encodePem('X509 CRL', der), crl, serials });
    return true;
  }
}
