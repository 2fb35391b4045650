import { isIP } from 'node:net';
import { DerReader } from './der/reader.ts';
import { constructed, primitive, TAG } from './der/tags.ts';
import { ipOctets } from './encode-extensions.ts';
import type { Extension, SubjectAltNames } from './extensions.ts';
import { EXTENSION } from './extensions.ts';
import { fromHex, toLatin1 } from './hex.ts';
import { comparableRelatives } from './name-comparison.ts';
import { PkiError } from './pki-error.ts';

/** One subtree. Directory names as their relative names, comparable; addresses as address and mask. */
type Subtree =
  | { readonly form: 'dns' | 'uri' | 'email'; readonly base: string }
  | { readonly form: 'directory'; readonly base: readonly string[] }
  | { readonly form: 'ip'; readonly base: Uint8Array }
  | { readonly form: 'other'; readonly base: string };

type Form = Subtree['form'];

/** What a CA bounds the names of all certificates below it to (RFC 5280 §4.2.1.10). */
export type NameConstraints = {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
};

/** A certificate as constraints see it. */
export type NamedCertificate = {
  readonly subjectDer: Uint8Array;
  readonly sans: SubjectAltNames;
};

const FIELD = 'nameConstraints';
/** Comparisons of one name constraints extension with one certificate: both come from outside. */
const MAX_COMPARISONS = 4096;
const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';

/** The constraints among these extensions, if there are any. @throws PkiError `malformed` */
export function nameConstraintsOf(extensions: readonly Extension[]): NameConstraints | undefined {
  const found = extensions.find(({ oid }) => oid === EXTENSION.nameConstraints);
  return found === undefined ? undefined : parseNameConstraints(found.value);
}

/** @throws PkiError `malformed` */
export function parseNameConstraints(value: Uint8Array): NameConstraints {
  const reader = DerReader.sequence(value, FIELD);
  const permitted = reader.peek() === constructed(0) ? subtrees(reader.enter(constructed(0), FIELD)) : [];
  const excluded = reader.peek() === constructed(1) ? subtrees(reader.enter(constructed(1), FIELD)) : [];
  reader.finish(FIELD);
  if (permitted.length + excluded.length === 0) throw new PkiError('malformed', `${FIELD}: empty`);
  return { permitted, excluded };
}

function subtrees(reader: DerReader): Subtree[] {
  const found: Subtree[] = [];
  if (reader.atEnd) throw new PkiError('malformed', `${FIELD}: a list without a subtree`);
  while (!reader.atEnd) {
    const subtree = reader.enter(TAG.SEQUENCE, FIELD);
    found.push(readBase(subtree));
    if (!subtree.atEnd)
      throw new PkiError('malformed', `${FIELD}: minimum and maximum must not be there (RFC 5280)`);
  }
  return found;
}

function readBase(reader: DerReader): Subtree {
  const tag = reader.peek();
  const text = () => toLatin1(reader.content(tag, FIELD));
  if (tag === primitive(1)) return { form: 'email', base: text() };
  if (tag === primitive(2)) return { form: 'dns', base: text().toLowerCase() };
  if (tag === primitive(6)) return { form: 'uri', base: text().toLowerCase() };
  if (tag === constructed(4)) {
    const wrapper = reader.enter(tag, FIELD);
    const base = comparableRelatives(wrapper.element(TAG.SEQUENCE, FIELD));
    wrapper.finish(FIELD);
    return { form: 'directory', base };
  }
  if (tag === primitive(7)) {
    const base = reader.content(tag, FIELD);
    if (base.length !== 8 && base.length !== 32)
      throw new PkiError('malformed', `${FIELD}: an IP address and mask of ${base.length} bytes`);
    return { form: 'ip', base };
  }
  reader.any(FIELD);
  return { form: 'other', base: tagText(tag) };
}

type Name = {
  readonly form: Form;
  readonly shown: string;
  /** Whether it is within the subtree. */
  matches(base: Subtree): boolean;
  /** Whether it stands for a name that is, though it is not itself: a wildcard. */
  covers?(base: Subtree): boolean;
};

/**
 * Why a certificate is outside of what its CA is bound to; undefined where it is within. A name that is not understood
 * is within nothing.
 */
export function outsideOf(
  { permitted, excluded }: NameConstraints,
  certificate: NamedCertificate,
): string | undefined {
  let comparisons = 0;
  const isIn = (name: Name, base: Subtree): boolean => {
    if (++comparisons > MAX_COMPARISONS)
      throw new PkiError('too-large', `${FIELD}: more names than are compared`);
    return name.matches(base);
  };
  try {
    for (const name of namesOf(certificate)) {
      const same = ({ form, base }: Subtree) =>
        form === name.form && (form !== 'other' || base === name.shown);
      if (excluded.some((base) => same(base) && (isIn(name, base) || name.covers?.(base) === true)))
        return `${name.shown} is excluded`;
      const within = permitted.filter(same);
      if (within.length > 0 && !within.some((base) => isIn(name, base)))
        return `${name.shown} is not permitted`;
    }
  } catch (error) {
    if (error instanceof PkiError) return error.message;
    throw error;
  }
  return undefined;
}

function* namesOf({ subjectDer, sans }: NamedCertificate): Generator<Name> {
  const subject = comparableRelatives(subjectDer);
  if (subject.length > 0) yield directoryName(subject, 'subject');
  for (const email of emailsOf(subjectDer)) yield emailName(email);
  for (const dns of sans.dns) yield dnsName(dns);
  for (const uri of sans.uris) yield uriName(uri);
  for (const email of sans.emails) yield emailName(email);
  for (const ip of sans.ips) yield ipName(ip);
  for (const other of sans.others) yield otherName(other);
}

function directoryName(relatives: readonly string[], shown: string): Name {
  return {
    form: 'directory',
    shown,
    matches: (base) =>
      base.form === 'directory' &&
      base.base.length <= relatives.length &&
      base.base.every((relative, i) => relative === relatives[i]),
  };
}

/** Labels, and nothing that could be written in another way: no dot at the end, no escape. */
const HOST = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** Any name that has labels in front of the base is within it; with a leading dot, one label at least. */
function dnsName(name: string): Name {
  const lower = name.toLowerCase();
  const wildcard = lower.startsWith('*.') ? lower.slice(1) : undefined;
  return {
    form: 'dns',
    shown: `DNS name "${name}"`,
    matches: ({ form, base }) => {
      if (!HOST.test(wildcard?.slice(1) ?? lower))
        throw new PkiError('malformed', `DNS name "${name}" cannot be compared`);
      return (
        form === 'dns' &&
        (base === '' || lower === base || lower.endsWith(base.startsWith('.') ? base : `.${base}`))
      );
    },
    covers: ({ form, base }) =>
      form === 'dns' &&
      wildcard !== undefined &&
      base.endsWith(wildcard) &&
      HOST.test(base) &&
      !base.slice(0, -wildcard.length).includes('.'),
  };
}

/** A host is that one alone, a leading dot any host below. */
function isHostIn(host: string, base: string): boolean {
  return base.startsWith('.') ? host.length > base.length && host.endsWith(base) : host === base;
}

function uriName(uri: string): Name {
  return {
    form: 'uri',
    shown: `URI "${uri}"`,
    matches: ({ form, base }) => {
      const host = hostOf(uri);
      if (host === undefined || !HOST.test(host) || isIP(host) !== 0)
        throw new PkiError('malformed', `URI "${uri}" has no host name that could be compared`);
      return form === 'uri' && isHostIn(host, base);
    },
  };
}

/** RFC 3986 §3.2. */
function hostOf(uri: string): string | undefined {
  const [, authority] = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([\w.~!$&'()*+,;=:@%[\]-]*)(?=[/?#]|$)/.exec(uri) ?? [];
  const host = authority?.replace(/^.*@/, '').replace(/:\d*$/, '').toLowerCase();
  return host === '' ? undefined : host;
}

function emailName(email: string): Name {
  const at = email.lastIndexOf('@');
  const [local, host] = [email.slice(0, at), email.slice(at + 1).toLowerCase()];
  return {
    form: 'email',
    shown: `e-mail address "${email}"`,
    matches: ({ form, base }) => {
      if (at < 1 || !HOST.test(host))
        throw new PkiError('malformed', `e-mail address "${email}" has no host that could be compared`);
      if (form !== 'email') return false;
      const baseAt = base.lastIndexOf('@');
      if (baseAt < 0) return isHostIn(host, base.toLowerCase());
      return local === base.slice(0, baseAt) && host === base.slice(baseAt + 1).toLowerCase();
    },
  };
}

/** An IPv4 address that is written as an IPv6 one (RFC 4291 §2.5.5.2) is both. */
function ipName(ip: string): Name {
  const bytes = ipOctets(ip);
  const isMapped = bytes.length === 16 && bytes.slice(0, 12).every((byte, i) => byte === (i < 10 ? 0 : 0xff));
  const forms = isMapped ? [bytes, bytes.slice(12)] : [bytes];
  return {
    form: 'ip',
    shown: `IP address ${ip}`,
    matches: ({ form, base }) => form === 'ip' && forms.some((address) => isAddressIn(address, base)),
  };
}

function isAddressIn(address: Uint8Array, base: Uint8Array): boolean {
  if (base.length !== 2 * address.length) return false;
  return address.every((byte, i) => {
    const mask = base[address.length + i] as number;
    return (byte & mask) === ((base[i] as number) & mask);
  });
}

/** A directory name is compared; no other of these forms can be, and one whose form is bounded is within nothing. */
function otherName(hex: string): Name {
  const der = fromHex(hex);
  const tag = der[0] ?? 0;
  if (tag === constructed(4)) {
    const wrapper = DerReader.over(der, FIELD).enter(tag, FIELD);
    return directoryName(comparableRelatives(wrapper.element(TAG.SEQUENCE, FIELD)), 'directory name');
  }
  return {
    form: 'other',
    shown: tagText(tag),
    matches: () => {
      throw new PkiError('malformed', `${tagText(tag)}: constraints on it are not understood`);
    },
  };
}

function tagText(tag: number): string {
  return `name of form [${tag & 0x1f}]`;
}

function emailsOf(subjectDer: Uint8Array): string[] {
  const emails: string[] = [];
  const relatives = DerReader.sequence(subjectDer, 'subject');
  while (!relatives.atEnd) {
    const attributes = relatives.enter(TAG.SET, 'subject');
    while (!attributes.atEnd) {
      const attribute = attributes.enter(TAG.SEQUENCE, 'subject');
      const isEmail = attribute.oid('subject') === EMAIL_ADDRESS;
      const tag = attribute.peek();
      const value = attribute.any('subject');
      if (isEmail) emails.push(toLatin1(DerReader.over(value, 'subject').content(tag, 'subject')));
    }
  }
  return emails;
}
