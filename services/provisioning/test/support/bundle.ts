import type { Bundle, Device } from '@signet/contracts';

/** What the bootstrap service hands off to a device. */
export function bundleOf(account: string, deviceId: string): Bundle {
  return {
    ...{ account, deviceId, instance: 'eu-1', trustAnchors: ['-----BEGIN CERTIFICATE-----\n'] },
    est: {
      url: 'https://localhost:8443',
      label: account,
      username: deviceId,
      grant: 'secret',
      expiresAt: '2026-03-01T12:00:00.000Z',
    },
    mqtt: { url: 'mqtts://localhost:8883', clientId: deviceId },
    gateway: { url: 'https://localhost:8445' },
    config: {},
  };
}

/** A device as the bootstrap service describes it, claimed. */
export function claimedDevice(account: string, deviceId: string, fingerprint: string): Device {
  return {
    ...{ deviceId, account, factoryAccount: account, fingerprint },
    deviceSerialNumber: 'SN-1',
    state: 'claimed',
    certificate: '-----BEGIN CERTIFICATE-----\n',
    manufacturedAt: '2026-01-01T00:00:00.000Z',
  };
}
