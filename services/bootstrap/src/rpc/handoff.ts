import * as operations from '@signet/contracts';
import { OperationError } from '@signet/contracts';
import type { HandoffRequest, HandoffResult } from '../domain/handoff/hand-off-device.ts';
import { type Served, served } from './serve.ts';

/** The handoff of devices that come over MQTT. What is no bundle is an error there. */
export function handoffOperation(handOff: (request: HandoffRequest) => Promise<HandoffResult>): Served {
  return served(operations.handOverDevice, async (request) => {
    const result = await handOff(request);
    if (result.kind === 'bundle') return result.bundle;
    if (result.kind === 'redirect')
      throw new OperationError('redirected', `fingerprint: ${result.url} hands this device over`);
    throw new OperationError(result.code, result.message);
  });
}
