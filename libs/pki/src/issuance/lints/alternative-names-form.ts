import { EXTENSION } from '../../extensions.ts';
import type { Lint } from '../lint.ts';

export const alternativeNamesForm: Lint = {
  name: 'subjectAltName form',
  citation: 'RFC 5280 §4.2.1.6',
  check({ extensions, sans }) {
    if (!extensions.some(({ oid }) => oid === EXTENSION.subjectAltName)) return undefined;
    const { uris, dns, ips, emails, others } = sans;
    const all = [...uris, ...dns, ...ips, ...emails, ...others];
    if (all.length === 0) return 'holds no name';
    if (new Set(all).size < all.length) return 'holds a name twice';
    const relative = uris.find((uri) => !/^[a-z][a-z0-9+.-]*:\S+$/i.test(uri));
    if (relative !== undefined) return `"${relative}" is not an absolute URI`;
    const address = dns.find((name) => /^[\d.]+$/.test(name));
    return address === undefined ? undefined : `"${address}" is an IP address and no DNS name`;
  },
};
