import { createHash } from 'node:crypto';
import { DeviceId } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import type { Collection } from '@signet/store';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import type { Entry } from '../certificate/device-place.ts';
import { type Renewal, reserveBySecret, reserveRenewal, type SecretUse } from '../certificate/reservation.ts';
import { EnrollmentError, onBehalfOf, type ProvenDevice } from '../enrollment-error.ts';
import {
  checkGrant,
  checkUse,
  checkVoid,
  type Grant,
  type Grants,
  hashSecret,
  type Reservation,
} from '../grant/grant.ts';
import { type DeviceProfiles, profileInForce } from '../profile/device-profile.ts';
import type { FindProfile, Label, Profile } from '../profile/profile.ts';
import { renewalTime } from '../renewal/renewal-times.ts';
import { claimedDevice, type FindDevice, requireNotShutOut } from './proof.ts';

export type ApplicantDeps = {
  readonly grants: Pick<Grants, 'find'>;
  readonly renewals: Pick<Collection<Renewal>, 'insert' | 'update'>;
  readonly secretUses: Pick<Collection<SecretUse>, 'get' | 'insert' | 'update'>;
  readonly certificates: Pick<Certificates, 'get'>;
  readonly findProfile: FindProfile;
  readonly deviceProfiles: Pick<DeviceProfiles, 'get'>;
  readonly findDevice: FindDevice;
};

export type ApplicantRequest = {
  readonly credentials: GrantCredentials;
  readonly label: Label | undefined;
  readonly peer: VerifiedPeer | undefined;
};

/** Who asks for a first certificate, under which profile, and what binds it to one key. */
export type Applicant = ProvenDevice & {
  readonly profile: Profile;
  readonly coming: Coming;
  /** What it proved itself by, SHA-256 in hex. */
  readonly proof: string;
  /** That what it proved itself by was in time at `askedAt` (Unix ms), and is not another key's. @throws EnrollmentError */
  readonly check: (publicKeyHash: string, askedAt: number) => void | Promise<void>;
  /** That it counts still, after others were asked. @throws EnrollmentError */
  readonly stillMay?: () => Promise<void>;
  /** That the certificate will have, whoever records one first: the record is the compare-and-set. */
  readonly serialNumber?: string;
  /** Compare-and-set before anything is signed, elsewhere: the reservation that stands. @throws EnrollmentError */
  readonly reserve?: (proposed: Reservation) => Promise<Reservation>;
};

/** A device that comes in, or one that showed a certificate in force: what it gets renews that, as by `simplereenroll`. */
export type Coming =
  | { readonly entry: Entry; readonly current?: undefined }
  | { readonly current: CertificateRecord; readonly entry?: undefined };

/**
 * Who asks (RFC 7030 §3.2.3, §3.3.2), as the profile of the label wants it proven; without a label, the profile that
 * the grant names, or the default one of the certificate's account.
 * @throws EnrollmentError
 */
export async function identify(deps: ApplicantDeps, request: ApplicantRequest): Promise<Applicant> {
  if (request.label !== undefined) {
    const profile = await deps.findProfile(request.label);
    const { credentials } = request;
    return byProfile(
      deps,
      profile,
      profile.popLinking ? { ...request, credentials: { basic: credentials.basic } } : request,
    );
  }
  const { basic, challengePassword } = request.credentials;
  if (basic === undefined && challengePassword === undefined && request.peer?.account !== undefined)
    return byProfile(
      deps,
      await deps.findProfile({ account: request.peer.account, profile: 'default' }),
      request,
    );
  const held = await findGrant(deps.grants, request);
  return onBehalfOf(held.grant, async () => {
    const { account, profile } = held.grant;
    return byProfile(deps, await deps.findProfile({ account, profile }), request, held);
  });
}

async function byProfile(
  deps: ApplicantDeps,
  profile: Profile,
  request: ApplicantRequest,
  held?: HeldGrant,
): Promise<Applicant> {
  switch (profile.authentication) {
    case 'grant':
    case 'certificate+grant':
      return byGrant(deps, profile, request, held ?? (await findGrant(deps.grants, request)));
    case 'secret':
    case 'certificate+secret':
      return bySecret(deps, profile, request);
    case 'certificate':
      return byCertificate(deps, profile, request.peer);
  }
}

async function byGrant(
  deps: ApplicantDeps,
  profile: Profile,
  { peer }: ApplicantRequest,
  { grant, secretHash }: HeldGrant,
): Promise<Applicant> {
  const { account, deviceId } = grant;
  return onBehalfOf(grant, () => {
    checkVoid(grant);
    if (profile.authentication === 'certificate+grant' && peer === undefined)
      throw new EnrollmentError(
        'no-certificate',
        `certificate: profile "${profile.id}" wants one besides the grant`,
      );
    return {
      account,
      deviceId,
      profile,
      coming: {
        entry: { by: 'handoff', identity: grant.identity ?? grant.fingerprint, resetAt: grant.resetAt },
      },
      proof: secretHash,
      check: async (publicKeyHash, askedAt) => {
        checkGrant(grant, { secretHash, now: askedAt });
        if (profile.approval === 'none') return;
        const recorded = await deps.certificates.get(grant.serialNumber);
        if (recorded !== undefined) checkUse(recorded, publicKeyHash);
      },
      stillMay: async () => {
        const equals = { secretHash };
        const [current] = (await deps.grants.find({ index: 'secret', equals, limit: 1 })).items;
        checkGrant(current ?? { ...grant, secretHash: '' }, { secretHash, now: 0 });
      },
      serialNumber: grant.serialNumber,
    };
  });
}

/** The secret is all devices' of the profile; the user name says which one it is. */
async function bySecret(
  deps: ApplicantDeps,
  profile: Profile,
  request: ApplicantRequest,
): Promise<Applicant> {
  const { basic } = request.credentials;
  const { account } = profile;
  if (basic === undefined)
    throw new EnrollmentError('no-credentials', "credentials: the profile's shared secret is required");
  const proof = hashSecret(basic.password);
  const deviceId = basic.username;
  if (proof !== profile.sharedSecretHash || !DeviceId.safeParse(deviceId).success)
    throw new EnrollmentError(
      'wrong-grant',
      `secret: not that of profile "${profile.id}", or no device id with it`,
    );
  const device = { account, deviceId };
  return onBehalfOf(device, async () => {
    if (profile.authentication === 'certificate+secret') {
      const shown = await certifiedDevice(deps, account, request.peer);
      if (shown !== deviceId)
        throw new EnrollmentError(
          'wrong-grant',
          `secret: given for "${deviceId}", the certificate is of "${shown}"`,
        );
    } else await requireNotShutOut(deps.findDevice, device);
    return {
      ...device,
      profile,
      coming: { entry: { by: 'secret' } },
      proof,
      check: () => {},
      stillMay: () => requireNotShutOut(deps.findDevice, device),
      reserve: (proposed) => reserveBySecret(deps, device, proposed, Date.parse(proposed.issuedAt)),
    };
  });
}

async function byCertificate(
  deps: ApplicantDeps,
  profile: Profile,
  peer: VerifiedPeer | undefined,
): Promise<Applicant> {
  const { account } = profile;
  const deviceId = await certifiedDevice(deps, account, peer);
  const current = await currentUnder(deps, profile, peer);
  const currentSerialNumber = peer?.certificate.serialNumber ?? '';
  return {
    account,
    deviceId,
    profile,
    coming: current === undefined ? { entry: { by: 'certificate' } } : { current },
    proof: createHash('sha256').update(`certificate ${peer?.facts.fingerprint}`).digest('hex'),
    check: (_publicKeyHash, askedAt) => {
      if (current !== undefined) renewalTime({ notAfter: Date.parse(current.notAfter) }, profile, askedAt);
    },
    stillMay: async () => {
      if (current === undefined) await certifiedDevice(deps, account, peer);
    },
    reserve: (reservation) =>
      reserveRenewal(
        deps.renewals,
        { account, deviceId, currentSerialNumber, reservation },
        Date.parse(reservation.issuedAt),
      ),
  };
}

/**
 * The operational certificate that was shown, if it was one: it asks only under the profile that it would renew under.
 * @throws EnrollmentError `wrong-profile`
 */
async function currentUnder(
  deps: ApplicantDeps,
  asked: Profile,
  peer: VerifiedPeer | undefined,
): Promise<CertificateRecord | undefined> {
  if (peer?.purpose !== 'operational') return undefined;
  const record = await deps.certificates.get(peer.certificate.serialNumber);
  const own = record === undefined ? undefined : (await profileInForce(deps, record)).profile.id;
  if (record !== undefined && own === asked.id) return record;
  throw new EnrollmentError(
    'wrong-profile',
    `label: "${asked.id}" is another profile than ${own === undefined ? 'any that is known of this certificate' : `"${own}", which the certificate is of`}; renew it (simplereenroll), or have an operator move the device (signet devices set-profile)`,
  );
}

/** The device of the account that a certificate shows: by its claim, or by its own words where we certified them. */
async function certifiedDevice(
  deps: ApplicantDeps,
  account: string,
  peer: VerifiedPeer | undefined,
): Promise<string> {
  if (peer === undefined)
    throw new EnrollmentError('no-certificate', 'certificate: needed in the TLS handshake');
  if (peer.purpose === 'bootstrap') return claimedDevice(deps.findDevice, account, peer.facts.fingerprint);
  if (peer.account !== account)
    throw new EnrollmentError('wrong-account', `label: the certificate is not one of account "${account}"`);
  const record = await deps.certificates.get(peer.certificate.serialNumber);
  if (record?.revokedAt !== undefined)
    throw new EnrollmentError(
      'revoked',
      `certificate: ${record.serialNumber} was revoked at ${record.revokedAt}`,
    );
  return peer.deviceId;
}

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
        device: grant ?? (await deviceOfPeer(grants, request.peer)),
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
async function deviceOfPeer(
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

/**
 * Who asks for a nonce: the device that its operational certificate names, as for a renewal, or the one that proves
 * itself as for a first enrolment.
 * @throws EnrollmentError
 */
export async function askingDevice(deps: ApplicantDeps, request: ApplicantRequest): Promise<ProvenDevice> {
  const { peer, label, credentials } = request;
  if (peer?.purpose === 'operational' && peer.account !== undefined && credentials.basic === undefined) {
    if (label !== undefined && label.account !== peer.account)
      throw new EnrollmentError(
        'wrong-account',
        `label: the certificate is not one of account "${label.account}"`,
      );
    return { account: peer.account, deviceId: peer.deviceId };
  }
  const { account, deviceId } = await identify(deps, request);
  return { account, deviceId };
}
