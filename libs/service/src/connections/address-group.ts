import { isIPv6 } from 'node:net';

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** Hextets of an IPv6 network that one subscriber has to itself (RFC 6177). */
const NETWORK_HEXTETS = 4;

/**
 * The network that an address is counted with: an IPv4 address by itself, an IPv6 address by its /64, since whoever has
 * one address of a /64 has all of them.
 */
export function addressGroup(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  const [plain = ''] = address.split('%');
  const mapped = MAPPED.exec(plain)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.toLowerCase().split('::');
  const first = hextets(head);
  if (tail !== undefined) {
    const last = hextets(tail);
    // a dotted quad at the end is two hextets; they are past the first four in any case
    while (first.length + last.length < 8) first.push('0');
    first.push(...last);
  }
  return `${first
    .slice(0, NETWORK_HEXTETS)
    .map((hextet) => hextet.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}

function hextets(text: string): string[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => (part.includes('.') ? ['quad', 'quad'] : [part]));
}
