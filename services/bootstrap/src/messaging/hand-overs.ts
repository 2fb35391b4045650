import type { Bus, Subscription } from '@signet/bus';
import { handOverDevice, OperationError } from '@signet/contracts';
import type { HandOverResult } from '../domain/hand-over/hand-over.ts';

/** The hand-over by request/reply, for devices that come over MQTT. */
export async function serveHandOvers(
  bus: Bus,
  handOver: (fingerprint: string) => Promise<HandOverResult>,
): Promise<Subscription> {
  return bus.serve(handOverDevice, async ({ fingerprint }) => {
    const result = await handOver(fingerprint);
    if (result.kind === 'bundle') return result.bundle;
    throw new OperationError(result.code, result.message);
  });
}
