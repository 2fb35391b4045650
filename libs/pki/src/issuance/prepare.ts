import { randomFillSync } from 'node:crypto';
import { parseTbs, type TbsFacts } from '../certificate.ts';
import { constructed, TAG } from '../der/tags.ts';
import { encodeTime } from '../der/time.ts';
import { der, owned, unsignedInteger } from '../der/writer.ts';
import { type NamesToEncode, subjectAltNameExtension, subjectKeyIdExtension } from '../encode-extensions.ts';
import { keyIdentifier, parseKey } from '../keys.ts';
import { encodeName, type Name } from '../name.ts';
import { PkiError } from '../pki-error.ts';
import { runLints } from './lint.ts';
import type { Template } from './template.ts';

/** notBefore lies this far before the time of issuance, for devices whose clock is behind. Milliseconds. */
export const BACKDATED_MS = 5 * 60 * 1000;

/** What differs from one certificate to the next. */
export type CertificateRequestFacts = {
  /** Who it is for; or `subjectDer`, bytes to be kept exactly. */
  readonly subject?: Name;
  readonly subjectDer?: Uint8Array;
  readonly spkiDer: Uint8Array;
  readonly sans?: NamesToEncode;
  /** Unix milliseconds; notBefore is five minutes earlier. The same value on a retry gives the same notBefore. */
  readonly issuedAt: number;
  /** Unix milliseconds; must not be past the issuer's. */
  readonly notAfter: number;
  /** Lower-case hex; a new one by default. */
  readonly serialNumber?: string;
};

const SERIAL_OCTETS = 16;
/** Drawn in stock: asking for each serial number alone costs 3 % of a certificate. */
const stock = Buffer.alloc(256 * SERIAL_OCTETS);
let taken = stock.length;

/** A new serial number: 128 random bits, lower-case hex without leading zero bytes. */
export function newSerialNumber(): string {
  if (taken === stock.length) {
    randomFillSync(stock);
    taken = 0;
  }
  const start = taken;
  taken += SERIAL_OCTETS;
  return stock[start] === 0 ? newSerialNumber() : stock.toString('hex', start, taken);
}

/** A certificate whose every byte but the signature is settled and linted. It can be signed once. */
export class LintedCertificate {
  readonly template: Template;
  readonly facts: TbsFacts;
  #used = false;

  /** Use `prepare`. */
  constructor(template: Template, facts: TbsFacts) {
    this.template = template;
    this.facts = facts;
  }

  /** What is to be signed; throws `already-used` the second time. */
  take(): Uint8Array {
    if (this.#used)
      throw new PkiError(
        'already-used',
        `certificate ${this.facts.serialNumber}: was signed already, prepare another`,
      );
    this.#used = true;
    return this.facts.tbsDer;
  }
}

/**
 * Assembles the certificate that `template` and `facts` make, reads it back and lints what it reads. Throws
 * `not-issuable` where it would outlive its issuer, `unsupported-key` or `weak-key` for its key, and `lint` with the
 * citation of a rule that it violates.
 */
export function prepare(template: Template, facts: CertificateRequestFacts): LintedCertificate {
  if (facts.notAfter > template.issuer.notAfter) {
    const [asked, bound] = [facts.notAfter, template.issuer.notAfter].map((time) =>
      new Date(time).toISOString(),
    );
    throw new PkiError('not-issuable', `notAfter: ${asked} is past the issuer's end, ${bound}`);
  }
  const tbs = parseTbs(owned(assemble(template, facts)));
  runLints(tbs, template);
  return new LintedCertificate(template, tbs);
}

/** RFC 7093 of the key; a CA that has a key id keeps that one. */
function subjectKeyId({ continues }: Template, spkiDer: Uint8Array): Uint8Array {
  if (continues?.subjectKeyId !== undefined) return Buffer.from(continues.subjectKeyId, 'hex');
  return keyIdentifier(parseKey(spkiDer).bits);
}

function assemble(template: Template, facts: CertificateRequestFacts): Uint8Array {
  const subjectDer = facts.subjectDer ?? encodeName(facts.subject ?? {});
  const serial = facts.serialNumber ?? newSerialNumber();
  const names = subjectAltNameExtension(facts.sans ?? {});
  const extensions = der(
    TAG.SEQUENCE,
    template.extensionsDer,
    subjectKeyIdExtension(subjectKeyId(template, facts.spkiDer)),
    ...(names === undefined ? [] : [names]),
  );
  return der(
    TAG.SEQUENCE,
    template.versionDer,
    unsignedInteger(Buffer.from(serial, 'hex')),
    template.algorithmDer,
    template.issuer.subjectDer,
    der(TAG.SEQUENCE, encodeTime(facts.issuedAt - BACKDATED_MS), encodeTime(facts.notAfter)),
    subjectDer,
    facts.spkiDer,
    der(constructed(3), extensions),
  );
}
