import type { Bus, Message, Subscription } from '@signet/bus';
import { deviceTopic, handSubject, parseMqttSubject } from '@signet/contracts';
import type { Put } from './bridge.ts';

/** Takes what was stored for devices, where one node has all sessions. */
export function takeAlone(bus: Bus, put: Put): Promise<Subscription> {
  return bus.takeDown((message) => putAs(put, message));
}

/**
 * Takes what was stored for devices, where nodes share sessions: the node that has the device's session puts it into its
 * queue. Where none has it (that node stopped or died) this one does. A node that took the session over in between may
 * have read the queue before: it is handed the message too, so that the device gets it twice rather than late.
 */
export function takeTogether(bus: Bus, put: Put): Promise<Subscription> {
  return bus.takeDown(async (message) => {
    const hand = () => bus.hand(handSubject(message.subject), message.payload);
    const outcome = await hand();
    if (outcome === 'taken') return;
    await putAs(put, message);
    if (outcome === 'nobody') await hand();
  });
}

async function putAs(put: Put, { subject, payload }: Message): Promise<void> {
  const parsed = parseMqttSubject(subject);
  if (parsed === undefined) return;
  const { account, device: deviceId } = parsed;
  await put({ account, deviceId }, deviceTopic(parsed), payload);
}
