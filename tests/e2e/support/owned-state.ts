/** A stored document, or a row of the broker's sessions. */
export type Entry = Readonly<Record<string, unknown>>;

export const operations = ['unclaim', 'claim by another', 'reset', 'retire'] as const;
export type Operation = (typeof operations)[number];

type Of = { readonly account: string; readonly id: string; readonly fingerprint: string };
type Row = {
  /** Collection, or table of the broker's sessions. */
  readonly of: string;
  /** Whether this document holds what the row is about, for this device of this owner. */
  readonly holds: (entry: Entry, device: Of) => boolean;
  /** After which operations it is still there. */
  readonly stays: readonly Operation[];
};

const ofDevice = ({ account, deviceId }: Entry, device: Of) =>
  account === device.account && deviceId === device.id;
const has = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.length > 0
    : typeof value === 'object' && value !== null
      ? Object.keys(value).length > 0
      : value !== undefined;
const field =
  (name: string): Row['holds'] =>
  (entry, device) =>
    ofDevice(entry, device) && has(entry[name]);
const until =
  (end: string): Row['holds'] =>
  (entry, device) =>
    ofDevice(entry, device) && entry[end] === undefined;
const ofRecord =
  (name: string): Row['holds'] =>
  ({ id, [name]: value }, { fingerprint }) =>
    id === fingerprint && has(value);
const session =
  (column: string): Row['holds'] =>
  (entry, { account, id }) =>
    String(entry[column]).includes(account) && String(entry[column]).includes(id);

/** It belongs to the account that has the device: a reset keeps it. */
const withAccount = ['reset'] as const;
/** The record of a device that was retired says what it was. */
const onRecord = ['reset', 'retire'] as const;

/** Everything that is kept of a device under its account, id or fingerprint, and what a change of owner leaves of it. */
export const table: Readonly<Record<string, Row>> = {
  'second identity': { of: 'bootstrap.devices', holds: ofRecord('secondFingerprint'), stays: onRecord },
  'who set the second identity': { of: 'bootstrap.devices', holds: ofRecord('secondSetBy'), stays: onRecord },
  'group of the claim': { of: 'bootstrap.devices', holds: ofRecord('group'), stays: onRecord },
  'handoff of the device': {
    of: 'bootstrap.devices',
    holds: ofRecord('bootstrappedAt'),
    stays: ['retire'],
  },
  'enrollment grant': { of: 'est-ca.grants', holds: until('voided'), stays: [] },
  'profile that it was moved to': { of: 'est-ca.device-profiles', holds: until('endedAt'), stays: [] },
  'leave to renew when expired': { of: 'est-ca.renewal-grants', holds: until('endedAt'), stays: [] },
  'enrolment that waits for approval': { of: 'est-ca.requests', holds: field('state'), stays: [] },
  'certificates in force': { of: 'est-ca.certificates', holds: until('revokedAt'), stays: [] },
  labels: { of: 'provisioning.labels', holds: field('labels'), stays: withAccount },
  'membership of groups': { of: 'provisioning.memberships', holds: field('group'), stays: withAccount },
  'device config': { of: 'provisioning.configs', holds: field('files'), stays: withAccount },
  'log of the config': { of: 'provisioning.configs', holds: field('log'), stays: withAccount },
  'keys in use': { of: 'provisioning.key-rings', holds: field('current'), stays: withAccount },
  'MQTT credentials': { of: 'provisioning.mqtt-credentials', holds: field('issued'), stays: [] },
  'provisioning requests': { of: 'provisioning.requests', holds: field('state'), stays: withAccount },
  'reports of updates': { of: 'provisioning.update-events', holds: field('event'), stays: withAccount },
  updates: { of: 'provisioning.updates', holds: field('updateId'), stays: withAccount },
  'open place in a campaign': {
    of: 'provisioning.campaign-devices',
    holds: (entry, device) => ofDevice(entry, device) && ['WAITING', 'ORDERED'].includes(String(entry.state)),
    stays: withAccount,
  },
  'MQTT session': { of: 'mqtt_session', holds: session('key'), stays: withAccount },
  'messages that wait for it': { of: 'mqtt_queue', holds: session('session'), stays: withAccount },
  'activity of the device': { of: 'admin-api.activities', holds: field('sessionId'), stays: withAccount },
  'denial by an operator': {
    of: 'revocation-sync.entries',
    holds: (entry, { account, id, fingerprint }) =>
      (entry.holds as Entry[]).some(({ cause }) => cause === `operators of ${account}`) &&
      [`device:${account}/${id}`, fingerprint].some((name) => JSON.stringify(entry.target).includes(name)),
    stays: onRecord,
  },
};

/** Collections that are of no device. */
export const notOfADevice: readonly string[] = [
  ...[
    'account-states',
    'accounts',
    'block-rules',
    'hooks',
    'registration-certificates',
    'voided-authorities',
  ].map((name) => `bootstrap.${name}`),
  ...[
    'account-states',
    'anchor-adoptions',
    'attestation-cas',
    'authorities',
    'authority-keys',
    'authority-requests',
    'profiles',
  ].map((name) => `est-ca.${name}`),
  ...['crl-chunks', 'crl-states', 'uploaded-crls', 'expiry-marks', 'server-certificates', 'statements'].map(
    (name) => `est-ca.${name}`,
  ),
  ...['campaigns', 'config-layers', 'groups'].map((name) => `provisioning.${name}`),
  ...['crl-pages', 'crl-sources', 'crl-uploads', 'progress'].map((name) => `revocation-sync.${name}`),
  ...['budget-fates', 'budget-uses', 'ended-queues', 'kept-answers', 'queue-positions', 'queue-states'].map(
    (name) => `admin-api.${name}`,
  ),
  ...['accounts', 'queues', 'tokens'].map((name) => `admin-api.${name}`),
  'mqtt-broker.policies',
];

/** Of devices, and no change of owner touches them: why nobody comes in by them. */
export const records: Readonly<Record<string, string>> = {
  'bootstrap.redirects': 'set by the platform or the maker for fingerprints, not by owners',
  'bootstrap.registrations': 'what a device asked with before it was anybody’s, and the decision on it',
  'bootstrap.notifications': 'what the hook of an account is told of, under that account',
  'bootstrap.hook-attempts': 'the same',
  'est-ca.device-tpms':
    'which TPM vouched for a device first: it only refuses others; a reset, a retirement and a new owner end it',
  'est-ca.attested-keys': 'for one key of one device, for minutes',
  'est-ca.attestation-nonces': 'for one request, for minutes',
  'est-ca.attestation-nonce-uses': 'that a nonce was answered',
  'est-ca.renewal-orders': 'for what was issued before the order, which is revoked',
  'est-ca.renewals': 'bound to the certificate that was renewed, which is revoked',
  'est-ca.secret-uses': 'over with the certificate that it is of, which is revoked',
  'est-ca.expiry-notices': 'that somebody was told of a certificate',
  'revocation-sync.changes': 'the log of the deny list',
  'revocation-sync.sightings':
    'which device showed a certificate of a foreign CA: a CRL of it still denies that device',
  'admin-api.refusals': 'why a device was refused, for 30 days, under the account that it was refused in',
  'admin-api.audit': 'who did what',
};
