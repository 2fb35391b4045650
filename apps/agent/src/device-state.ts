import { z } from 'zod';
import { ConfigBody } from './gateway-client.ts';

/** `bootstrap.json`, from the factory: where the bootstrap service is. */
export const Bootstrap = z.object({ url: z.url() });

/** The steps of a rotation that lie behind, in the order of device-gateway.md. */
export const rotationSteps = [
  'started',
  'enrolled',
  'confirmed',
  'config-kept',
  'config-sent',
  'in-force',
  'completed',
] as const;
export type RotationStep = (typeof rotationSteps)[number];

/** A rotation, as the journal has it. A completed one stays, so that an order for it is not obeyed twice. */
export const Rotation = z.object({
  /** `certs-<Unix seconds>`. */
  id: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
  step: z.enum(rotationSteps),
  startedAt: z.string(),
  /** SHA-256 of the new key, from `enrolled` on: a file of another key is not taken for the new identity. */
  publicKeyHash: z.string().optional(),
});
export type Rotation = z.infer<typeof Rotation>;

/** `config.json`: the config as the gateway sent it, its values encrypted to the operational key. */
export const KeptConfig = z.object({
  /** What `If-Modified-Since` is to say. */
  modified: z.string(),
  version: z.string(),
  body: ConfigBody,
  /** The same values for the key of the rotation that is under way. */
  next: z.object({ publicKeyHash: z.string(), body: ConfigBody }).optional(),
});
export type KeptConfig = z.infer<typeof KeptConfig>;

/** `clock.json`: a time that has passed, whatever the system's clock says. */
export const ClockFloor = z.object({ floor: z.iso.datetime() });

/** `token-keys.json`: the keys that were made in a token for this device, and were not removed from it yet. */
export const TokenKeys = z.object({
  /** URIs (RFC 7512), without PIN and library. */
  made: z.array(z.string()),
});
