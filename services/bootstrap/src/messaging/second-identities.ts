import type { Bus, Subscription } from '@signet/bus';
import { addIdentity } from '@signet/contracts';
import { type Certificate, PkiError, parseCertificatePem } from '@signet/pki';
import { StoreError } from '@signet/store';
import { BootstrapError } from '../domain/device/bootstrap-error.ts';
import { type Devices, isVisible } from '../domain/device/find-device.ts';
import { asOperationError } from './operation-errors.ts';

/** Second bootstrap certificates of devices: an LDevID beside the IDevID (F15). */
export function serveSecondIdentities({
  bus,
  devices,
}: {
  bus: Bus;
  devices: Devices;
}): Promise<Subscription> {
  return bus.serve(addIdentity, async ({ account, fingerprint, certificate }) => {
    try {
      const { fingerprint: second, authorityKeyId, serialNumber } = deviceCertificate(certificate);
      const issued =
        authorityKeyId === undefined ? {} : { secondIssuerKeyId: authorityKeyId, secondSerial: serialNumber };
      const record = await devices.get(fingerprint);
      if (record === undefined || !isVisible(record, account))
        throw new BootstrapError('unknown-device', `fingerprint: account "${account}" has no such device`);
      // One that the factory log has is a device by itself, and nobody's second.
      if ((await devices.get(second)) !== undefined) throw taken();
      await devices.update(fingerprint, (current) =>
        isVisible(current, account) && current.secondFingerprint !== second
          ? { document: { ...current, secondFingerprint: second, ...issued } }
          : undefined,
      );
      return { fingerprint, secondFingerprint: second };
    } catch (error) {
      if (error instanceof StoreError && error.code === 'duplicate') throw asOperationError(taken());
      throw asOperationError(error);
    }
  });
}

function deviceCertificate(pem: string): Certificate {
  try {
    const certificate = parseCertificatePem(pem);
    if (certificate.basicConstraints?.ca !== true) return certificate;
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
  }
  throw new BootstrapError('bad-certificate', 'certificate: no certificate of a device', 'certificate');
}

function taken(): BootstrapError {
  return new BootstrapError(
    'identity-taken',
    'certificate: is that of a device that is known already',
    'certificate',
  );
}
