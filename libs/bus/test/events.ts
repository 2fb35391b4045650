import { newEvent, partitionOf, type SignetEvent } from '@signet/contracts';

/** A catalogue event with a number in it, so that a test can tell the order. */
export function numbered(device: string, n: number, traceparent?: string): SignetEvent<'DEVICE_FIRST_SEEN'> {
  return newEvent('DEVICE_FIRST_SEEN', {
    account: 'acme',
    subject: device,
    data: { deviceId: device, fingerprint: 'a'.repeat(64), authorityId: String(n) },
    time: Date.now(),
    traceparent,
  });
}

export function numberOf(event: SignetEvent): number {
  if (event.type !== 'DEVICE_FIRST_SEEN') throw new TypeError(`unexpected ${event.type}`);
  return Number(event.data.authorityId);
}

/** A device of another partition than `device`. */
export function deviceApartFrom(device: string): string {
  for (let i = 0; ; i++) {
    if (partitionOf('acme', `apart-${i}`) !== partitionOf('acme', device)) return `apart-${i}`;
  }
}
