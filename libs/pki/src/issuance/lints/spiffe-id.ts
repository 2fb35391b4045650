import type { Lint } from '../lint.ts';

const MAX_BYTES = 2048;
const MAX_TRUST_DOMAIN_BYTES = 255;

const sound = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/;

/** `names` says which certificates have one; this says what it may be. */
export const spiffeId: Lint = {
  name: 'SPIFFE ID',
  citation: 'SPIFFE-ID §2.1, §2.2 and §2.3; X509-SVID §2',
  check({ sans }) {
    for (const uri of sans.uris) {
      if (sound.test(uri) && uri.length <= MAX_BYTES) continue;
      const flaw = uri.startsWith('spiffe:') ? flawOf(uri) : undefined;
      if (flaw !== undefined) return `"${uri}": ${flaw}`;
    }
    return undefined;
  },
};

function flawOf(uri: string): string | undefined {
  if (uri.length > MAX_BYTES) return `longer than ${MAX_BYTES} bytes`;
  const [, trustDomain = '', path = ''] = /^spiffe:\/\/([^/]*)(.*)$/.exec(uri) ?? [];
  if (!/^[a-z0-9._-]+$/.test(trustDomain)) return 'a trust domain is made of a-z 0-9 . _ -';
  if (trustDomain.length > MAX_TRUST_DOMAIN_BYTES)
    return `a trust domain longer than ${MAX_TRUST_DOMAIN_BYTES} bytes`;
  for (const segment of path.split('/').slice(1)) {
    if (segment === '') return 'an empty path segment';
    if (segment === '.' || segment === '..') return `a path segment "${segment}"`;
    if (!/^[A-Za-z0-9._-]+$/.test(segment)) return 'a path segment is made of A-Z a-z 0-9 . _ -';
  }
  return undefined;
}
