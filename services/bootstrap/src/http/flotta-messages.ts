import { randomUUID } from 'node:crypto';
import { z } from 'zod';

/** What a device sends: yggdrasil's envelope. `content` is the directive's. */
export const DataMessage = z.object({
  type: z.literal('data'),
  message_id: z.string().min(1).max(128),
  response_to: z.string().max(128).optional(),
  version: z.literal(1),
  sent: z.iso.datetime({ offset: true }).optional(),
  directive: z.string().min(1).max(64),
  metadata: z.record(z.string(), z.string()).nullish(),
  content: z.unknown(),
});

export type DataMessage = z.output<typeof DataMessage>;

const text = z.string().max(1024).optional();

const Hardware = z.object({
  hostname: text,
  cpu: z.object({ architecture: text, model_name: text }).nullish(),
  system_vendor: z.object({ manufacturer: text, product_name: text, serial_number: text }).nullish(),
});

export const EnrolmentContent = z.object({
  features: z.object({ hardware: Hardware.nullish() }).nullish(),
  target_namespace: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'target_namespace: a namespace is like "factory-1"')
    .default('default'),
});

export const RegistrationContent = z.object({
  certificate_request: z.string().min(1).max(32_768),
  hardware: Hardware.nullish(),
});

/** None of it is stored: only that a heartbeat came counts. */
export const HeartbeatContent = z.object({ status: text, version: text });

/** What operators are shown of a device's hardware. */
export function detailsOf(hardware: z.output<typeof Hardware> | null | undefined): Record<string, string> {
  const { hostname, cpu, system_vendor: vendor } = hardware ?? {};
  const facts = {
    hostname,
    model: vendor?.product_name,
    manufacturer: vendor?.manufacturer,
    serial: vendor?.serial_number,
    architecture: cpu?.architecture,
    cpu: cpu?.model_name,
  };
  const known = Object.entries(facts).filter(([, value]) => value !== undefined && value !== '');
  return Object.fromEntries(known.map(([name, value]) => [name, String(value).slice(0, 256)]));
}

/**
 * `configuration` and what is in it: `flotta-device-worker` reads each of these members without asking whether it came
 * (`heartbeat.hardware_profile.include` with every heartbeat), and empty lists mean that it runs nothing.
 */
export function deviceConfiguration(deviceId: string, heartbeatSeconds: number) {
  return {
    device_id: deviceId,
    version: '1',
    configuration: {
      heartbeat: {
        period_seconds: heartbeatSeconds,
        hardware_profile: { include: false, scope: 'full' },
      },
    },
    workloads: [],
    secrets: [],
  };
}

/** What a device is sent. */
export function message(
  type: 'data' | 'command',
  parts: { readonly directive?: string; readonly content: unknown },
  now: number,
) {
  return {
    type,
    message_id: randomUUID(),
    response_to: '',
    version: 1,
    sent: new Date(now).toISOString(),
    metadata: {},
    ...parts,
  };
}
