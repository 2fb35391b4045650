import type { Bus, Subscription } from '@signet/bus';
import { handOverDevice, OperationError } from '@signet/contracts';
import type { HandoffRequest, HandoffResult } from '../domain/handoff/hand-off-device.ts';

/** The handoff by request/reply, for devices that come over MQTT. */
export async function serveHandoffs(
  bus: Bus,
  handOff: (request: HandoffRequest) => Promise<HandoffResult>,
): Promise<Subscription> {
  return bus.serve(handOverDevice, async (request) => {
    const result = await handOff(request);
    if (result.kind === 'bundle') return result.bundle;
    if (result.kind === 'redirect')
      throw new OperationError('redirected', `fingerprint: ${result.url} hands this device over`);
    throw new OperationError(result.code, result.message);
  });
}
