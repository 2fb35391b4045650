import type { KeyObject } from 'node:crypto';
import type { RefusalCode } from '@signet/contracts';
import { type Certificate, generateKeyPair } from '@signet/pki';
import { expect } from 'vitest';
import { call, type EstReply, enrolment, issuedIn } from './est-client.ts';
import type { BootstrapDevice, EstFixture } from './est-fixture.ts';

/** A device with its operational certificate. */
export type EnrolledDevice = BootstrapDevice & {
  readonly operational: { readonly certificate: string; readonly privateKey: KeyObject };
  readonly issued: Certificate;
};

/** Takes a new device through factory, grant and enrolment. */
export async function enrolledDevice(
  est: EstFixture,
  deviceId: string,
  account?: string,
): Promise<EnrolledDevice> {
  const device = await est.bootstrapDevice(deviceId);
  const grant = await est.grantFor(device, account === undefined ? {} : { account });
  const { privateKey } = generateKeyPair('P-256');
  const identity = { certificate: device.certificate, privateKey: device.keys.privateKey };
  const issued = issuedIn(await call(est, enrolment({ privateKey }, { basic: [deviceId, grant], identity })));
  return { ...device, operational: { certificate: issued.pem(), privateKey }, issued };
}

/** That the reply is a refusal, and that an event says the same with its code. */
export async function expectRefusal(
  est: EstFixture,
  reply: EstReply,
  wanted: {
    readonly status: number;
    readonly code: RefusalCode;
    readonly text: RegExp;
    readonly deviceId?: string;
  },
): Promise<void> {
  expect({ status: reply.status, body: reply.body }).toEqual({
    status: wanted.status,
    body: expect.stringMatching(wanted.text),
  });
  const event = await est.event(
    'ENROLLMENT_REFUSED',
    ({ data }) =>
      data.code === wanted.code &&
      wanted.text.test(data.message) &&
      (wanted.deviceId === undefined || data.deviceId === wanted.deviceId),
  );
  expect(event.data.listener).toBe('est');
}
