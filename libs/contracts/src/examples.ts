import type { EventData, EventType } from './events.ts';

const fingerprint = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const publicKeyHash = '2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae';
const issuerKeyId = '3d1a5c0e9b7f42d68a10c4be57f2903e61dd84ab';
const serialNumber = '4b7d2f90a1c35e6877d0b2e4f6a8c13d';
const publicKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaCqOOd6nNRZvUJiTASGQv8KcKSbz
m8cOHLR5xcTTUg+uVVMxTtZ8lPIgUQNHuFzY6mDzHqTLqjzXyR8VZ6dzXw==
-----END PUBLIC KEY-----
`;

const device = { deviceId: 'pump-17', fingerprint, deviceSerialNumber: 'SN-000017', model: 'P200' };
const authority = {
  authorityId: 'issuing-acme-1',
  kind: 'issuing',
  state: 'active',
  subjectKeyId: issuerKeyId,
  notAfter: '2034-01-01T00:00:00.000Z',
} as const;
const certificate = {
  deviceId: 'pump-17',
  serialNumber,
  issuerKeyId,
  fingerprint,
  publicKeyHash,
  profile: 'acme',
  notBefore: '2026-03-01T11:55:00.000Z',
  notAfter: '2026-05-30T12:00:00.000Z',
};
const session = {
  deviceId: 'pump-17',
  sessionId: '0195511c-0e2b-7d11-9c5e-5a2f0e7c1b20',
  node: 'broker-1',
  address: '192.0.2.17',
  fingerprint,
  serialNumber,
  issuerKeyId,
  publicKeyHash,
};
const refusal = { fingerprint, address: '192.0.2.17', count: 1 };

/** One example of every event's `data`: in the reference, and for whoever tests a consumer. */
export const eventExamples: { readonly [T in EventType]: EventData<T> } = {
  DEVICE_MANUFACTURED: { ...device, factoryCa: 'factory-acme-1', certificateSerial: serialNumber },
  DEVICE_REGISTRATION_REQUESTED: { requestId: 'r-81', fingerprint, details: { serial: 'SN-000017' } },
  DEVICE_REGISTRATION_DECIDED: { requestId: 'r-81', fingerprint, approved: true, by: 'ada' },
  DEVICE_CLAIMED: { ...device, group: 'hall-3', by: 'ada' },
  DEVICE_BOOTSTRAPPED: { ...device, instance: 'eu-1' },
  DEVICE_RESET: { ...device, from: 'active', to: 'claimed', by: 'ada' },
  DEVICE_BLOCKED: { ...device, reason: 'stolen', by: 'ada', account: 'acme' },
  DEVICE_UNBLOCKED: { ...device, by: 'ada', account: 'acme' },
  DEVICE_RETIRED: { ...device, reason: 'scrapped', by: 'ada', account: 'acme' },
  BOOTSTRAP_REFUSED: {
    ...refusal,
    code: 'unclaimed',
    message: 'fingerprint: no account has claimed it',
    listener: 'bootstrap',
  },
  CA_CREATED: authority,
  CA_CHANGED: { ...authority, state: 'disabled', reason: 'key ceremony' },
  CERT_ISSUED: { ...certificate, publicKey },
  CERT_RENEWED: {
    ...certificate,
    publicKey,
    previousSerialNumber: '11f0c2a97be4435d90c1a2b3c4d5e6f7',
    keyChanged: true,
  },
  CERT_REVOKED: { ...certificate, reason: 'keyCompromise', by: 'ada' },
  CERT_RELEASED: { ...certificate, by: 'ada' },
  CERT_EXPIRING: { ...certificate, daysLeft: 14 },
  CRL_PUBLISHED: {
    authorityId: 'issuing-acme-1',
    number: 42,
    entries: 3,
    thisUpdate: '2026-03-01T12:00:00.000Z',
    nextUpdate: '2026-03-02T12:00:00.000Z',
    delta: false,
  },
  DEVICE_PROFILE_CHANGED: { deviceId: 'pump-17', from: 'acme.field', to: 'acme.line', by: 'ada' },
  ENROLLMENT_REFUSED: {
    ...refusal,
    code: 'used-grant',
    message: 'challengePassword: the grant was used by another key',
    listener: 'est',
    deviceId: 'pump-17',
    profile: 'acme',
  },
  ENROLLMENT_REQUESTED: {
    deviceId: 'pump-17',
    requestId: '5d41402abc4b2a76b9719d911017c592',
    profile: 'acme.field',
    publicKeyHash,
    renewal: false,
  },
  ENROLLMENT_DECIDED: {
    deviceId: 'pump-17',
    requestId: '5d41402abc4b2a76b9719d911017c592',
    profile: 'acme.field',
    publicKeyHash,
    renewal: false,
    approved: true,
    by: 'ada',
  },
  DEVICE_PROVISIONED: { deviceId: 'pump-17', requestId: 'p-7' },
  PROVISIONING_CHANGED: { deviceId: 'pump-17', requestId: 'p-7', from: 'STARTED', state: 'RUNNING' },
  DEVICE_CONFIG_CHANGED: { deviceId: 'pump-17', version: 3, files: ['wifi.json'], by: 'ada' },
  DEVICE_SEEN: { deviceId: 'pump-17', serialNumber, publicKeyHash },
  DEVICE_CONFIG_APPLIED: { deviceId: 'pump-17', version: 3 },
  CONFIG_LAYER_CHANGED: { group: 'hall-3', version: 2, files: ['wifi.json'], by: 'ada', reason: 'new SSID' },
  GROUP_CHANGED: { group: 'hall-3', change: 'created', by: 'ada' },
  DEVICE_ROTATION_STARTED: { deviceId: 'pump-17', rotationId: 'rot-5' },
  DEVICE_ROTATION_STEP: { deviceId: 'pump-17', rotationId: 'rot-5', step: 'key-announced', success: true },
  DEVICE_ROTATION_COMPLETED: { deviceId: 'pump-17', rotationId: 'rot-5' },
  DEVICE_ROTATION_CANCELLED: {
    deviceId: 'pump-17',
    rotationId: 'rot-5',
    serialNumber,
    publicKeyHash,
    reason: 'cancelled',
    by: 'ada',
  },
  CAMPAIGN_CHANGED: {
    campaignId: '0195511c-0e2b-7d11-9c5e-5a2f0e7c1b21',
    rotationId: 'certs-1772366400',
    state: 'PAUSED',
    reason: '10 devices failed',
    by: 'provisioning',
  },
  DEVICE_PUBKEY_CHANGE: {
    deviceId: 'pump-17',
    NewPubKey: publicKey,
    newSerialNumber: serialNumber,
    newPublicKeyHash: publicKeyHash,
  },
  CRL_SOURCE_CHANGED: {
    source: 'maker-pki',
    part: 'http://crl.maker.example/factory.crl',
    number: '118',
    entries: 204,
    listed: 2,
    unlisted: 1,
  },
  CRL_SOURCE_REFUSED: {
    source: 'maker-pki',
    part: 'http://crl.maker.example/factory.crl',
    code: 'bad-signature',
    message: 'CRL: its signature is not of the pinned issuer',
  },
  CRL_SOURCE_STALE: { source: 'maker-pki', whenStale: 'refuse-new' },
  CRL_SOURCE_FRESH: { source: 'maker-pki' },
  DENYLIST_CHANGED: {
    number: 118,
    add: [
      {
        key: '5feceb66ffc86f38d952786c6d696c79',
        kind: 'certificate',
        reason: 'keyCompromise',
        expiresAt: 1_780_142_400,
      },
    ],
    lift: [],
  },
  DEVICE_FIRST_SEEN: { deviceId: 'pump-17', fingerprint, authorityId: 'local-acme-1' },
  DEVICE_CONNECTED: session,
  DEVICE_DISCONNECTED: { ...session, reason: 'denied' },
  MQTT_POLICY_CHANGED: {
    policy: { secondFactor: true, shared: true, retainShared: false },
    by: 'ada',
  },
  DEVICE_REFUSED: {
    ...refusal,
    code: 'denied',
    message: 'certificate: it is on the deny list',
    listener: 'mqtt',
    deviceId: 'pump-17',
  },
  ACCOUNT_CREATED: { by: 'ada' },
  ACCOUNT_SUSPENDED: { reason: 'unpaid', devices: true, by: 'ada' },
  ACCOUNT_RESUMED: { by: 'ada' },
  ACCOUNT_DELETION_MARKED: { deletableFrom: '2026-03-08T12:00:00.000Z', by: 'ada' },
  ACCOUNT_DELETED: { by: 'ada' },
};
