import { createHash } from 'node:crypto';
import { DeviceId } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { EnrollmentError, type ProvenDevice } from '../est/enrollment-error.ts';
import { checkVoid, type Grant, type Grants, hashSecret } from '../grant/grant.ts';
import { type DeviceProfiles, profileInForce } from '../profile/device-profile.ts';
import type { FindProfile, Label, Profile } from '../profile/profile.ts';
import { claimedDevice, type FindDevice, type Proof, requireNotShutOut } from './proof.ts';

export type AuthenticateCtx = {
  readonly grants: Pick<Grants, 'find'>;
  readonly certificates: Pick<Certificates, 'get'>;
  readonly findProfile: FindProfile;
  readonly deviceProfiles: Pick<DeviceProfiles, 'get'>;
  readonly findDevice: FindDevice;
};

/** What a device may prove itself by, besides its certificate. */
export type Credentials = {
  /** HTTP Basic: the user name is the device id, the password the grant. */
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  /** Of the CSR, if it is not the channel binding; carries the grant where there is no HTTP Basic. */
  readonly challengePassword?: string | undefined;
};

export type AuthenticationRequest = {
  readonly credentials: Credentials;
  readonly label: Label | undefined;
  readonly peer: VerifiedPeer | undefined;
};

/** Who asks, under which profile, and by what it proved itself. */
export type Requester = ProvenDevice & { readonly profile: Profile; readonly proof: Proof };

/** Told whose request it is, as soon as that is proven. */
type Proven = (device: ProvenDevice) => void;

/**
 * Authenticates a device (RFC 7030 §3.2.3, §3.3.2) as the profile of the label wants it proven; without a label, the
 * profile that the grant names, or the default one of the certificate's account.
 * @throws EnrollmentError
 */
export async function authenticate(
  ctx: AuthenticateCtx,
  request: AuthenticationRequest,
  proven: Proven,
): Promise<Requester> {
  const { credentials, label, peer } = request;
  if (label !== undefined) {
    const profile = await ctx.findProfile(label);
    // with PoP linking the challengePassword is the channel binding, and no grant
    const shown = profile.popLinking ? { basic: credentials.basic } : credentials;
    return byProfile(ctx, profile, { ...request, credentials: shown }, proven);
  }
  const { basic, challengePassword } = credentials;
  if (basic === undefined && challengePassword === undefined && peer?.account !== undefined) {
    const profile = await ctx.findProfile({ account: peer.account, profile: 'default' });
    return byProfile(ctx, profile, request, proven);
  }
  const grant = await findGrant(ctx.grants, request, proven);
  const profile = await ctx.findProfile({ account: grant.account, profile: grant.profile });
  return isByGrant(profile) ? byGrant(profile, grant, peer) : byProfile(ctx, profile, request, proven);
}

/**
 * Who asks for a nonce: the device that its operational certificate names, as for a renewal, or the one that proves
 * itself as for a first enrolment.
 * @throws EnrollmentError
 */
export async function authenticateForNonce(
  ctx: AuthenticateCtx,
  request: AuthenticationRequest,
  proven: Proven,
): Promise<ProvenDevice> {
  const { peer, label, credentials } = request;
  if (peer?.purpose === 'operational' && peer.account !== undefined && credentials.basic === undefined) {
    if (label !== undefined && label.account !== peer.account) throw otherAccount(label.account);
    return { account: peer.account, deviceId: peer.deviceId };
  }
  const { account, deviceId } = await authenticate(ctx, request, proven);
  return { account, deviceId };
}

const isByGrant = ({ authentication }: Profile): boolean =>
  authentication === 'grant' || authentication === 'certificate+grant';

async function byProfile(
  ctx: AuthenticateCtx,
  profile: Profile,
  request: AuthenticationRequest,
  proven: Proven,
): Promise<Requester> {
  switch (profile.authentication) {
    case 'grant':
    case 'certificate+grant':
      return byGrant(profile, await findGrant(ctx.grants, request, proven), request.peer);
    case 'secret':
    case 'certificate+secret':
      return bySecret(ctx, profile, request, proven);
    case 'certificate':
      return byCertificate(ctx, profile, request.peer, proven);
  }
}

function byGrant(profile: Profile, grant: Grant, peer: VerifiedPeer | undefined): Requester {
  checkVoid(grant);
  if (profile.authentication === 'certificate+grant' && peer === undefined)
    throw new EnrollmentError(
      'no-certificate',
      `certificate: profile "${profile.id}" wants one besides the grant`,
    );
  const { account, deviceId, secretHash: id } = grant;
  return { account, deviceId, profile, proof: { by: 'handoff', id, grant } };
}

/** The secret is all devices' of the profile; the user name says which one it is. */
async function bySecret(
  ctx: AuthenticateCtx,
  profile: Profile,
  { credentials: { basic }, peer }: AuthenticationRequest,
  proven: Proven,
): Promise<Requester> {
  const { account } = profile;
  if (basic === undefined)
    throw new EnrollmentError('no-credentials', "credentials: the profile's shared secret is required");
  const id = hashSecret(basic.password);
  const deviceId = basic.username;
  if (id !== profile.sharedSecretHash || !DeviceId.safeParse(deviceId).success)
    throw new EnrollmentError(
      'wrong-grant',
      `secret: not that of profile "${profile.id}", or no device id with it`,
    );
  const device = { account, deviceId };
  proven(device);
  if (profile.authentication === 'certificate+secret') {
    const shown = await certifiedDevice(ctx, account, peer);
    if (shown !== deviceId)
      throw new EnrollmentError(
        'wrong-grant',
        `secret: given for "${deviceId}", the certificate is of "${shown}"`,
      );
  } else await requireNotShutOut(ctx.findDevice, device);
  return { ...device, profile, proof: { by: 'secret', id } };
}

/** A bootstrap certificate lets its device in; an operational one is renewed, as by `simplereenroll`. */
async function byCertificate(
  ctx: AuthenticateCtx,
  profile: Profile,
  peer: VerifiedPeer | undefined,
  proven: Proven,
): Promise<Requester> {
  const { account } = profile;
  const shown = requireCertificate(peer);
  const device = { account, deviceId: await certifiedDevice(ctx, account, shown) };
  proven(device);
  const id = createHash('sha256').update(`certificate ${shown.facts.fingerprint}`).digest('hex');
  const proof: Proof =
    shown.purpose === 'operational'
      ? { by: 'renewal', id, current: await currentUnder(ctx, profile, shown) }
      : { by: 'certificate', id, peer: shown };
  return { ...device, profile, proof };
}

/**
 * The operational certificate that was shown: it asks only under the profile that it would renew under.
 * @throws EnrollmentError `wrong-profile`
 */
async function currentUnder(
  ctx: AuthenticateCtx,
  asked: Profile,
  { certificate }: VerifiedPeer,
): Promise<CertificateRecord> {
  const record = await ctx.certificates.get(certificate.serialNumber);
  const own = record === undefined ? undefined : (await profileInForce(ctx, record)).profile.id;
  if (record !== undefined && own === asked.id) return record;
  throw new EnrollmentError(
    'wrong-profile',
    `label: "${asked.id}" is another profile than ${own === undefined ? 'any that is known of this certificate' : `"${own}", which the certificate is of`}; renew it (simplereenroll), or have an operator move the device (signet devices set-profile)`,
  );
}

function requireCertificate(peer: VerifiedPeer | undefined): VerifiedPeer {
  if (peer !== undefined) return peer;
  throw new EnrollmentError('no-certificate', 'certificate: needed in the TLS handshake');
}

/** The device of the account that a certificate shows: by its claim, or by its own words where we certified them. */
async function certifiedDevice(
  ctx: AuthenticateCtx,
  account: string,
  shown: VerifiedPeer | undefined,
): Promise<string> {
  const peer = requireCertificate(shown);
  if (peer.purpose === 'bootstrap') return claimedDevice(ctx.findDevice, account, peer.facts.fingerprint);
  if (peer.account !== account) throw otherAccount(account);
  const record = await ctx.certificates.get(peer.certificate.serialNumber);
  if (record?.revokedAt !== undefined)
    throw new EnrollmentError(
      'revoked',
      `certificate: ${record.serialNumber} was revoked at ${record.revokedAt}`,
    );
  return peer.deviceId;
}

function otherAccount(account: string): EnrollmentError {
  return new EnrollmentError('wrong-account', `label: the certificate is not one of account "${account}"`);
}

/**
 * Finds the grant that the credentials give, and checks that it is this device's: user name, label, and the client
 * certificate, if one was shown. Given in both places, it must be the same grant in both. Whether it is in time is
 * checked when it is used.
 * @throws EnrollmentError `no-credentials`, `wrong-grant`, `wrong-account`
 */
async function findGrant(
  grants: Pick<Grants, 'find'>,
  { credentials, label, peer }: AuthenticationRequest,
  proven: Proven,
): Promise<Grant> {
  const { basic, challengePassword } = credentials;
  const secret = basic?.password ?? challengePassword;
  if (secret === undefined || secret === '')
    throw new EnrollmentError('no-credentials', 'credentials: an enrollment grant is required');
  const equals = { secretHash: hashSecret(secret) };
  const [grant] = (await grants.find({ index: 'secret', equals, limit: 1 })).items;
  if (grant === undefined || (basic !== undefined && basic.username !== grant.deviceId))
    throw new EnrollmentError(
      'wrong-grant',
      'grant: no such grant for this user name; ask for a new handoff',
      { device: grant ?? (await deviceOfPeer(grants, peer)) },
    );
  proven(grant);
  if (basic !== undefined && challengePassword !== undefined && challengePassword !== basic.password)
    throw new EnrollmentError('wrong-grant', 'challengePassword: is not the grant given by HTTP Basic');
  if (label !== undefined && label.account !== grant.account)
    throw new EnrollmentError('wrong-account', `label: the grant is not one of account "${label.account}"`);
  if (label !== undefined && label.profile !== grant.profile)
    throw new EnrollmentError('wrong-grant', `label: the grant is not one for profile "${label.profile}"`);
  if (peer !== undefined && !isOf(peer, grant))
    throw new EnrollmentError('wrong-grant', 'grant: made for another device than the certificate names');
  return grant;
}

function isOf(peer: VerifiedPeer, grant: Grant): boolean {
  return peer.purpose === 'bootstrap'
    ? peer.facts.fingerprint === grant.fingerprint
    : peer.account === grant.account && peer.deviceId === grant.deviceId;
}

/** Whose a bootstrap certificate is, by the grant that was made for it. */
async function deviceOfPeer(
  grants: Pick<Grants, 'find'>,
  peer: VerifiedPeer | undefined,
): Promise<ProvenDevice | undefined> {
  if (peer?.purpose !== 'bootstrap') return undefined;
  const { fingerprint } = peer.facts;
  return (await grants.find({ index: 'fingerprint', equals: { fingerprint }, limit: 1 })).items[0];
}
