import { Account, DeviceId, spiffeId } from '@signet/contracts';
import type { Certificate } from '../certificate.ts';
import type { Finding } from './finding.ts';
import type { PinnedIssuer } from './issuer-set.ts';
import type { Purpose } from './leaf-checks.ts';

/**
 * Whom a certificate names. A bootstrap certificate names no account: whose a device is, its claim decides. A
 * registration certificate names no device.
 */
export type Identity = { readonly deviceId?: string; readonly account?: string };

/**
 * Reads the identity and checks that all places that name it agree, and that the issuer may give it: a CA of one
 * account vouches for no device of another, and a SPIFFE id of another trust domain names none of ours.
 */
export function readIdentity(
  leaf: Certificate,
  purpose: Purpose,
  issuer: PinnedIssuer,
  platform: { readonly account: string; readonly trustDomain: string },
): Identity | Finding {
  const { commonName, organization } = leaf.subject;
  if (purpose === 'registration') {
    if (!Account.safeParse(organization).success) return bad('subject O: is not an account');
    return (
      vouchedFor(organization as string, issuer, platform.account) ?? { account: organization as string }
    );
  }
  if (!DeviceId.safeParse(commonName).success) return bad('subject CN: is not a device id');
  const deviceId = commonName as string;
  if (purpose === 'bootstrap') return { deviceId };

  if (!Account.safeParse(organization).success) return bad('subject O: is not an account');
  const account = organization as string;
  const ids = leaf.sans.uris.filter((uri) => uri.startsWith('spiffe:'));
  const [id = ''] = ids;
  if (ids.length !== 1) return bad(`subjectAltName: one SPIFFE id expected, found ${ids.length}`);
  if (!id.startsWith(`spiffe://${platform.trustDomain}/`))
    return bad(`subjectAltName: SPIFFE id is not of the trust domain "${platform.trustDomain}"`);
  if (id !== spiffeId(platform.trustDomain, account, deviceId))
    return bad(`subjectAltName: SPIFFE id does not name ${account}/${deviceId} as the subject does`);
  return vouchedFor(account, issuer, platform.account) ?? { deviceId, account };
}

/** Why this issuer may not vouch for anybody of the account, if it may not. */
function vouchedFor(account: string, issuer: PinnedIssuer, platformAccount: string): Finding | undefined {
  if (issuer.account === account || issuer.account === platformAccount) return undefined;
  return bad(`subject O: a CA of ${issuer.account} may not vouch for a device of ${account}`);
}

function bad(message: string): Finding {
  return { code: 'bad-identity', message };
}
