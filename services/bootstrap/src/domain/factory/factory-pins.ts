import type { Authority } from '@signet/contracts';
import type { DeviceRecord } from '../../collections.ts';

/** A factory CA as one account has it pinned. */
export type FactoryPin = Pick<Authority, 'authorityId' | 'account' | 'state' | 'firstContact'>;

/** Pinned factory CAs. Several accounts may pin one whose key is external; in order of their ids. */
export type FactoryPins = {
  /** All pins of the CA with this subject key id. */
  byKeyId(keyId: string): readonly FactoryPin[];
  /** All pins of the CA of which this is one. */
  siblings(authorityId: string): readonly FactoryPin[];
};

/** Rebuilt when the pinned CAs changed. */
export function factoryPins(authorities: () => readonly Authority[]): FactoryPins {
  let of: readonly Authority[] = [];
  let byKeyId = new Map<string, Authority[]>();
  let keyIdOf = new Map<string, string>();
  const look = (): void => {
    if (of === authorities()) return;
    of = authorities();
    const factories = of
      .filter(({ kind }) => kind === 'factory')
      .toSorted((a, b) => (a.authorityId < b.authorityId ? -1 : 1));
    byKeyId = Map.groupBy(factories, ({ subjectKeyId }) => subjectKeyId);
    keyIdOf = new Map(factories.map(({ authorityId, subjectKeyId }) => [authorityId, subjectKeyId]));
  };
  const find = (keyId: string): readonly FactoryPin[] => {
    look();
    return byKeyId.get(keyId) ?? [];
  };
  return {
    byKeyId: find,
    siblings(authorityId) {
      look();
      const keyId = keyIdOf.get(authorityId);
      return keyId === undefined ? [] : find(keyId);
    },
  };
}

export function inForce(pins: readonly FactoryPin[]): readonly FactoryPin[] {
  return pins.filter(({ state }) => state === 'active');
}

/**
 * The pin that puts a device out of force, if one does: its owner's own, where the owner has one; else its CA is out of
 * force only once nobody has it in force, and the pin by which the device is on record says so. So what one account does
 * with a CA is for its own devices alone.
 */
export function voidingPin(
  { account, authorityId }: Pick<DeviceRecord, 'account' | 'authorityId'>,
  pins: readonly FactoryPin[],
): FactoryPin | undefined {
  const own = pins.find((pin) => pin.account === account);
  if (own !== undefined) return own.state === 'active' ? undefined : own;
  if (inForce(pins).length > 0) return undefined;
  return pins.find((pin) => pin.authorityId === authorityId) ?? pins[0];
}
