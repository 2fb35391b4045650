import { createHash } from 'node:crypto';
import type { DenyTarget } from '@signet/contracts';
import { describe, expect, it } from 'vitest';
import { denyKey, peerDenyKeys } from './deny-key.ts';

const facts = {
  fingerprint: 'f1'.repeat(32),
  publicKeyHash: 'b2'.repeat(32),
  serialNumber: '01ab',
  issuerKeyId: 'c3'.repeat(20),
  account: 'acme',
  deviceId: 'dev-1',
};

describe('what is denied, as a key', () => {
  it('is the first 16 bytes of the SHA-256 of kind and fields, separated by NUL', () => {
    const wanted = createHash('sha256')
      .update('device\0acme\0dev-1')
      .digest()
      .subarray(0, 16)
      .toString('hex');
    expect(denyKey({ kind: 'device', account: 'acme', deviceId: 'dev-1' })).toBe(wanted);
  });

  it('F72: finds a peer under each of the names by which it can be denied', () => {
    const targets: DenyTarget[] = [
      { kind: 'certificate', issuerKeyId: facts.issuerKeyId, serialNumber: facts.serialNumber },
      { kind: 'key', publicKeyHash: facts.publicKeyHash },
      { kind: 'device', account: 'acme', deviceId: 'dev-1' },
      { kind: 'fingerprint', fingerprint: facts.fingerprint },
      { kind: 'ca', subjectKeyId: facts.issuerKeyId },
      { kind: 'account', account: 'acme' },
    ];
    const keys = peerDenyKeys(facts);
    for (const target of targets) expect(keys[target.kind]).toBe(denyKey(target));
    expect(keys.newOfCa).toBe(denyKey({ kind: 'ca', subjectKeyId: facts.issuerKeyId, only: 'new' }));
    expect(new Set(Object.values(keys)).size).toBe(7);
  });

  it('F66: tells devices of one name in two accounts apart, and fields that only join alike', () => {
    const key = (account: string, deviceId: string) => denyKey({ kind: 'device', account, deviceId });
    expect(key('acme', 'dev-1')).not.toBe(key('other', 'dev-1'));
    expect(key('ac', 'medev-1')).not.toBe(key('acme', 'dev-1'));
  });

  it('has no device key where account or device id is not known', () => {
    expect(peerDenyKeys({ ...facts, deviceId: undefined })).not.toHaveProperty('device');
    expect(peerDenyKeys({ ...facts, account: undefined })).not.toHaveProperty('device');
    expect(peerDenyKeys({ ...facts, account: undefined })).not.toHaveProperty('account');
  });
});
