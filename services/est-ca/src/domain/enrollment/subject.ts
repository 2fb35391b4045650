import { spiffeId } from '@signet/contracts';
import {
  type Certificate,
  type Csr,
  encodeNameLike,
  isSameName,
  type Name,
  type SubjectAltNames,
} from '@signet/pki';
import { EnrollmentError } from '../est/enrollment-error.ts';
import { expand, matchesDnsPattern, type Profile } from '../profile/profile.ts';

/** Whom a certificate will name. */
export type CertifiedNames = { readonly subjectDer: Uint8Array; readonly subjectAltNames: SubjectAltNames };

type NamingProfile = Pick<Profile, 'name' | 'subject' | 'subjectAttributes' | 'dnsNames' | 'otherNames'>;

/**
 * The names of a first certificate: made of the device's identity and the profile's template, in the encoding that the
 * CSR has for them, or the CSR's own Subject, kept to the byte, if the profile says so. A CSR that names another device is refused either way. The device's SPIFFE
 * id is always among the alternative names; of those that the CSR asks for, the profile's DNS names are given.
 * @throws EnrollmentError `wrong-subject`, `wrong-san`
 */
export function enrolledNames(
  csr: Pick<Csr, 'subject' | 'subjectDer' | 'sans'>,
  device: { readonly account: string; readonly deviceId: string },
  profile: NamingProfile,
  trustDomain: string,
): CertifiedNames {
  const { commonName, organization } = csr.subject;
  if (commonName !== undefined && commonName !== device.deviceId)
    throw new EnrollmentError(
      'wrong-subject',
      `subject CN: "${commonName}" is not the device "${device.deviceId}"`,
    );
  const uri = spiffeId(trustDomain, device.account, device.deviceId);
  const foreign = csr.sans.uris.find((name) => name.startsWith('spiffe:') && name !== uri);
  if (foreign !== undefined)
    throw new EnrollmentError('wrong-san', `subjectAltName: "${foreign}" is not the device's "${uri}"`);
  const dns = grantedNames(csr.sans, device, profile, uri);
  const subjectAltNames = { uris: [uri], dns, ips: [], emails: [], others: [] };
  if (profile.subject === 'fixed')
    return { subjectDer: encodeNameLike(fixedSubject(device, profile), csr.subjectDer), subjectAltNames };
  if (commonName === undefined || organization !== device.account)
    throw new EnrollmentError(
      'wrong-subject',
      `subject: the profile keeps it, so CN must be "${device.deviceId}" and O "${device.account}"`,
    );
  return { subjectDer: csr.subjectDer, subjectAltNames };
}

/** The DNS names that the profile allows of those asked for. */
function grantedNames(
  sans: SubjectAltNames,
  device: { readonly account: string; readonly deviceId: string },
  profile: NamingProfile,
  own: string,
): readonly string[] {
  const placeholders = { ...device, profile: profile.name };
  const allowed = (name: string) =>
    profile.dnsNames.some((pattern) => matchesDnsPattern(name, pattern, placeholders));
  const granted = sans.dns.filter(allowed);
  const others = [
    ...sans.dns.filter((name) => !allowed(name)),
    ...sans.uris.filter((name) => name !== own),
    ...sans.ips,
    ...sans.emails,
    ...sans.others,
  ];
  if (profile.otherNames === 'refuse' && others.length > 0)
    throw new EnrollmentError(
      'wrong-san',
      `subjectAltName: the profile does not give ${others.map((name) => `"${name}"`).join(', ')}`,
    );
  return [...new Set(granted)];
}

function fixedSubject(
  device: { readonly account: string; readonly deviceId: string },
  { name, subjectAttributes }: NamingProfile,
): Name {
  const placeholders = { deviceId: device.deviceId, account: device.account, profile: name };
  const template = Object.entries(subjectAttributes ?? {}).map(([field, text]) => [
    field,
    expand(text ?? '', placeholders),
  ]);
  return { ...Object.fromEntries(template), commonName: device.deviceId, organization: device.account };
}

/**
 * The names of a renewal: those of the current certificate, to the byte. The CSR must name the same Subject (RFC 7030
 * §4.2.2), as names are compared by RFC 5280 §7.1: whoever builds it may write it in another string type. Subject
 * alternative names in the CSR must be the same set; where it has none, they are taken over.
 * @throws EnrollmentError `wrong-subject`, `wrong-san`
 */
export function renewedNames(
  csr: Pick<Csr, 'subject' | 'subjectDer' | 'sans'>,
  current: Pick<Certificate, 'subject' | 'subjectDer' | 'sans'>,
): CertifiedNames {
  if (!isSameName(csr.subjectDer, current.subjectDer))
    throw new EnrollmentError(
      'wrong-subject',
      `subject: differs from that of the current certificate, "${current.subject.commonName ?? ''}" (RFC 7030 §4.2.2)`,
    );
  const asked = nameSet(csr.sans);
  const held = nameSet(current.sans);
  const added = asked.difference(held);
  const missing = held.difference(asked);
  if (asked.size > 0 && added.size + missing.size > 0) {
    const list = (names: ReadonlySet<string>) => [...names].join(', ') || 'nothing';
    throw new EnrollmentError(
      'wrong-san',
      `subjectAltName: differs from the current certificate: adds ${list(added)}; lacks ${list(missing)} (RFC 7030 §4.2.2)`,
    );
  }
  return { subjectDer: current.subjectDer, subjectAltNames: current.sans };
}

function nameSet(names: SubjectAltNames): Set<string> {
  return new Set(
    Object.entries(names).flatMap(([kind, values]) => values.map((value: string) => `${kind}:${value}`)),
  );
}
