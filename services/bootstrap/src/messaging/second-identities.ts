import type { Bus, Subscription } from '@signet/bus';
import { addIdentity } from '@signet/contracts';
import type { Devices } from '../collections.ts';
import { requireVisible } from '../domain/device/ownership.ts';
import {
  deviceCertificate,
  type Pins,
  requireNoDevice,
  setSecondIdentity,
  whyNotOfAccount,
} from '../domain/device/second-identity.ts';
import { BootstrapError } from '../domain/errors.ts';
import { asOperationError } from './operation-errors.ts';

type Deps = {
  readonly bus: Bus;
  readonly devices: Devices;
  readonly pins: Pins;
  readonly now: () => number;
};

/** Second bootstrap certificates of devices: an LDevID beside the IDevID (F15). */
export function serveSecondIdentities({ bus, devices, pins, now }: Deps): Promise<Subscription> {
  return bus.serve(addIdentity, async ({ account, fingerprint, certificate: pem }) => {
    try {
      requireVisible(await devices.get(fingerprint), account, 'fingerprint');
      const certificate = deviceCertificate(pem);
      await requireNoDevice(devices, certificate.fingerprint);
      const why = await whyNotOfAccount(pins, certificate, { account, now: now(), alone: true });
      if (why !== undefined) throw new BootstrapError('bad-certificate', why, 'certificate');
      await setSecondIdentity(devices, fingerprint, { account, certificate, replaces: true });
      return { fingerprint, secondFingerprint: certificate.fingerprint };
    } catch (error) {
      throw asOperationError(error);
    }
  });
}
