import type { ConfigFile, Device } from '@signet/contracts';
import type { RefusalFacts } from '@signet/service';
import type { Layers } from '../domain/config/effective.ts';
import type { KeyRing } from '../domain/rotation/key-ring.ts';
import type { UpdateReport } from '../domain/updates/update-event.ts';

export type DeviceName = { readonly account: string; readonly deviceId: string };

/** What the device gateway needs of the service. Devices are told apart by their certificate alone. */
export type Gateway = {
  /** Tells the service of a verified contact (it may promote the key), and gives the device's keys. */
  readonly contact: (
    device: DeviceName,
    shown: { readonly serialNumber: string; readonly publicKeyHash: string },
  ) => Promise<KeyRing | undefined>;
  /**
   * Learns of a certificate from whoever issued it, where no event told of it: `unknown` where it is not on record, as
   * after a restore from an older copy; `unavailable` where nobody answers.
   */
  readonly lookUp: (
    device: DeviceName,
    shown: { readonly serialNumber: string; readonly publicKeyHash: string },
  ) => Promise<'learned' | 'unknown' | 'unavailable'>;
  /** The keys of a device, and nothing told of a contact. */
  readonly keysOf: (device: DeviceName) => Promise<KeyRing | undefined>;
  /** The device confirms its announced key. */
  readonly confirm: (device: DeviceName, publicKeyHash: string) => Promise<KeyRing>;
  /** The device read its config with its new key: `GET /config` goes by time again. */
  readonly reread: (device: DeviceName) => Promise<void>;
  readonly layersOf: (device: DeviceName) => Promise<Layers>;
  readonly ownConfig: (device: DeviceName) => Promise<Layers['own']>;
  /** `nextKeyHash`: the announced key that the values are encrypted to, if they are. */
  readonly writeConfig: (
    device: DeviceName,
    change: { readonly files: ConfigFile[]; readonly reason: string; readonly nextKeyHash?: string },
  ) => Promise<void>;
  /** The device has applied this version of its config. */
  readonly appliedConfig: (device: DeviceName, version: number) => Promise<void>;
  readonly takeReports: (device: DeviceName, reports: readonly UpdateReport[]) => Promise<void>;
  readonly labelsOf: (
    device: DeviceName,
  ) => Promise<{ readonly labels: Readonly<Record<string, string>>; readonly groups: readonly string[] }>;
  /** What the bootstrap service has on record of a device; undefined where it has nothing, or does not answer. */
  readonly recordOf: (device: DeviceName) => Promise<Device | undefined>;
  /** Whether a device is denied by more than one certificate: by its name, its key, or its CA. */
  readonly isDenied: (
    facts: DeviceName & { readonly publicKeyHash: string; readonly issuerKeyId: string },
  ) => boolean;
  readonly refuse: (facts: RefusalFacts) => void;
  readonly now: () => number;
};
