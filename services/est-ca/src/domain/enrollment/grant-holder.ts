import type { VerifiedPeer } from '@signet/pki';
import type { Grant, Grants } from '../grant/grant.ts';
import { hashSecret } from '../grant/secret.ts';
import type { Label } from '../profile/label.ts';
import { EnrollmentError, onBehalfOf, type ProvenDevice } from './enrollment-error.ts';

/** What a device may prove itself by, besides its certificate. */
export type GrantCredentials = {
  /** HTTP Basic: the user name is the device id, the password the grant. */
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  /** Of the CSR, if it is not the channel binding; carries the grant where there is no HTTP Basic. */
  readonly challengePassword?: string | undefined;
};

/** A grant, and the hash that it was found by. */
export type HeldGrant = { readonly grant: Grant; readonly secretHash: string };

/**
 * Finds the grant that the credentials give, and checks that it is this device's: user name, label, and the client
 * certificate, if one was shown. Given in both places, it must be the same grant in both. Whether it is in time is
 * checked when it is used.
 * @throws EnrollmentError `no-credentials`, `wrong-grant`, `wrong-account`
 */
export async function findGrant(
  grants: Pick<Grants, 'find'>,
  request: {
    readonly credentials: GrantCredentials;
    readonly label: Label | undefined;
    readonly peer: VerifiedPeer | undefined;
  },
): Promise<HeldGrant> {
  const secretHash = hashSecret(secretOf(request.credentials));
  const found = await grants.find({ index: 'secret', equals: { secretHash }, limit: 1 });
  const grant = found.items[0];
  const { basic } = request.credentials;
  if (grant === undefined || (basic !== undefined && basic.username !== grant.deviceId))
    throw new EnrollmentError(
      'wrong-grant',
      'grant: no such grant for this user name; ask for a new hand-over',
      {
        device: grant ?? (await claimedDevice(grants, request.peer)),
      },
    );
  return onBehalfOf(grant, () => {
    checkSame(request.credentials);
    checkLabel(grant, request.label);
    checkPeer(grant, request.peer);
    return { grant, secretHash };
  });
}

/** Whose a bootstrap certificate is, by the grant that was made for it. */
async function claimedDevice(
  grants: Pick<Grants, 'find'>,
  peer: VerifiedPeer | undefined,
): Promise<ProvenDevice | undefined> {
  if (peer?.purpose !== 'bootstrap') return undefined;
  const { fingerprint } = peer.facts;
  return (await grants.find({ index: 'fingerprint', equals: { fingerprint }, limit: 1 })).items[0];
}

function secretOf({ basic, challengePassword }: GrantCredentials): string {
  const secret = basic?.password ?? challengePassword;
  if (secret === undefined || secret === '')
    throw new EnrollmentError('no-credentials', 'credentials: an enrollment grant is required');
  return secret;
}

function checkSame({ basic, challengePassword }: GrantCredentials): void {
  if (basic !== undefined && challengePassword !== undefined && challengePassword !== basic.password)
    throw new EnrollmentError('wrong-grant', 'challengePassword: is not the grant given by HTTP Basic');
}

function checkLabel(grant: Grant, label: Label | undefined): void {
  if (label === undefined) return;
  if (label.account !== grant.account)
    throw new EnrollmentError('wrong-account', `label: the grant is not one of account "${label.account}"`);
  if (label.profile !== grant.profile)
    throw new EnrollmentError('wrong-grant', `label: the grant is not one for profile "${label.profile}"`);
}

function checkPeer(grant: Grant, peer: VerifiedPeer | undefined): void {
  if (peer === undefined) return;
  const own =
    peer.purpose === 'bootstrap'
      ? peer.facts.fingerprint === grant.fingerprint
      : peer.account === grant.account && peer.deviceId === grant.deviceId;
  if (!own)
    throw new EnrollmentError('wrong-grant', 'grant: made for another device than the certificate names');
}
