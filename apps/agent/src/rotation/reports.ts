import { randomUUID } from 'node:crypto';
import type { RotationStep } from '../device-state.ts';
import type { UpdateReport } from '../gateway-client.ts';

/** What the document calls the event that tells of each step. */
const EVENT: Readonly<Record<RotationStep, string>> = {
  started: 'CertRotationStarted',
  enrolled: 'Generate new certificate',
  confirmed: 'Lock device configuration on server',
  'config-kept': 'Update local configuration with new key',
  'config-sent': 'Update device specific configuration on server with new key',
  'in-force': 'Finalize aktualizr configuration',
  completed: 'CertRotationCompleted',
};

/** That a step of a rotation lies behind, in the words of device-gateway.md. */
export function stepReport(rotationId: string, step: RotationStep, now: number): UpdateReport {
  return {
    id: randomUUID(),
    deviceTime: new Date(now).toISOString(),
    event: {
      correlationId: rotationId,
      targetName: 'signet-agent',
      version: '1',
      ...(step === 'started' ? {} : { success: true }),
    },
    eventType: { id: EVENT[step], version: 0 },
  };
}
