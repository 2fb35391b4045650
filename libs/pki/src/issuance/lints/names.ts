import type { SubjectAltNames } from '../../extensions.ts';
import type { Lint } from '../lint.ts';

const spiffe = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/[A-Za-z0-9._-]+)+$/;
const dnsName = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

export const names: Lint = {
  name: 'subjectAltName',
  citation: 'RFC 5280 §4.2.1.6; SPIFFE X509-SVID §2; RFC 6125 §6',
  check({ sans }, { kind }) {
    const wrong = sans.dns.find((name) => name.length > 253 || !dnsName.test(name));
    if (wrong !== undefined) return `"${wrong}" is not a DNS name`;
    if (kind === 'operational' || kind === 'statements') return oneSpiffeId(sans);
    if (kind === 'server')
      return sans.dns.length + sans.ips.length === 0 ? 'a server has a DNS name or an IP address' : undefined;
    return isEmpty(sans) ? undefined : `no names in a certificate of kind "${kind}"`;
  },
};

function oneSpiffeId({ uris }: SubjectAltNames): string | undefined {
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) return `one SPIFFE id is needed, there are ${uris.length} URIs`;
  return spiffe.test(uri) && uri.length <= 2048 ? undefined : `"${uri}" is not a SPIFFE id`;
}

function isEmpty({ uris, dns, ips, emails, others }: SubjectAltNames): boolean {
  return uris.length + dns.length + ips.length + emails.length + others.length === 0;
}
