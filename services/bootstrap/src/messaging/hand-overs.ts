import type { Bus, Subscription } from '@signet/bus';
import { handOverDevice, OperationError } from '@signet/contracts';
import type { HandOverRequest, HandOverResult } from '../domain/hand-over/hand-over.ts';

/** The hand-over by request/reply, for devices that come over MQTT. */
export async function serveHandOvers(
  bus: Bus,
  handOver: (request: HandOverRequest) => Promise<HandOverResult>,
): Promise<Subscription> {
  return bus.serve(handOverDevice, async (request) => {
    const result = await handOver(request);
    if (result.kind === 'bundle') return result.bundle;
    if (result.kind === 'redirect')
      throw new OperationError('redirected', `fingerprint: ${result.url} hands this device over`);
    throw new OperationError(result.code, result.message);
  });
}
