import { PkiError } from '../../pki-error.ts';

/** Parts of a PKCS#11 URI (RFC 7512) that name a token, an object in it, and how to get there. */
export type Pkcs11Uri = {
  /** Label of the token. */
  readonly token?: string;
  /** Serial number of the token. */
  readonly serial?: string;
  /** Label of the key (CKA_LABEL). */
  readonly object?: string;
  /** Path of the PKCS#11 library. */
  readonly modulePath?: string;
  /** The PIN, or the file that holds it. */
  readonly pinValue?: string;
  readonly pinSource?: string;
};

const names = {
  token: 'token',
  serial: 'serial',
  object: 'object',
  'module-path': 'modulePath',
  'pin-value': 'pinValue',
  'pin-source': 'pinSource',
} as const satisfies Record<string, keyof Pkcs11Uri>;

/** Attributes that narrow down a token in ways that we do not look at. */
const passedOver: ReadonlySet<string> = new Set([
  ...['manufacturer', 'model', 'type', 'slot-manufacturer', 'slot-description', 'library-manufacturer'],
  ...['library-description', 'library-version', 'module-name'],
]);

/**
 * Reads a PKCS#11 URI (RFC 7512 §2.3): path attributes apart by ";", query attributes after "?" by "&".
 * @throws PkiError `bad-key-uri` for what is none, an attribute that we cannot heed, or one that occurs twice
 */
export function parsePkcs11Uri(text: string): Pkcs11Uri {
  const refuse = (reason: string): never => {
    throw new PkiError('bad-key-uri', `key URI: ${reason}`);
  };
  if (!text.startsWith('pkcs11:')) refuse('does not begin with "pkcs11:"');
  const [path = '', query = '', ...rest] = text.slice('pkcs11:'.length).split('?');
  if (rest.length > 0) refuse('more than one "?"');
  const found: Record<string, string> = {};
  for (const part of [...path.split(';'), ...query.split('&')]) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = part.slice(0, at < 0 ? undefined : at);
    if (at < 0) refuse(`"${name}" has no value`);
    if (passedOver.has(name)) continue;
    const field = (names as Record<string, keyof Pkcs11Uri>)[name];
    if (field === undefined) return refuse(`attribute "${name}" is not supported`);
    if (found[field] !== undefined) refuse(`"${name}" occurs twice`);
    found[field] = decoded(part.slice(at + 1)) ?? refuse(`"${name}" is not percent-encoded correctly`);
  }
  return found;
}

/** The URI of an object in a token, as it may be stored: without PIN and without the way to the library. */
export function formatPkcs11Uri({ token, serial, object }: Pkcs11Uri): string {
  const parts = Object.entries({ token, serial, object })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(value ?? '')}`);
  return `pkcs11:${parts.join(';')}`;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
