import { z } from 'zod';
import { Account, DeviceId } from '../identifiers.ts';

/** Names the program that runs on the device. */
export const CommandName = z
  .string()
  .regex(/^[a-z0-9-]{1,64}$/, 'lower-case letters, digits and -, at most 64');

/** Bytes of a command's payload, as JSON. */
export const MAX_COMMAND_PAYLOAD = 16_384;
/** How long a command may be good for, seconds. A device keeps the ids of commands so long. */
export const MAX_COMMAND_SECONDS = 7 * 86_400;

/** What a command says, signed by the account's command key (JWS, `typ` {@link COMMAND_TYPE}). */
export const CommandStatement = z.strictObject({
  account: Account,
  deviceId: DeviceId.describe('It is for no other device'),
  id: z.uuid().describe('Of this command alone: a device takes it once'),
  name: CommandName,
  payload: z.unknown().describe('Any JSON; null where there is none'),
  iat: z.number().int().nonnegative().describe('Unix seconds'),
  exp: z.number().int().nonnegative().describe('Unix seconds'),
});
export type CommandStatement = z.infer<typeof CommandStatement>;

/** Why a device does not do what it was sent. */
export const CommandRefusal = z.enum([
  /** It got no command certificate. */
  'no-command-certificate',
  /** No statement of this type, or not such claims. */
  'malformed',
  'untrusted',
  'not-in-time',
  'wrong-signer',
  'bad-signature',
  'other-account',
  'other-device',
  'expired',
  /** Its time of issue is in the future, or it is good for longer than a command may be. */
  'bad-time',
  'replayed',
  /** Too many are waiting. */
  'busy',
  /** It cannot keep which commands it has taken. */
  'device-fault',
]);
export type CommandRefusal = z.infer<typeof CommandRefusal>;

/** What a device says on `up/command`. */
export const CommandResult = z.union([
  z.object({ id: z.uuid(), success: z.boolean(), output: z.string().describe('The last 2000 characters') }),
  z.object({
    id: z.uuid().optional().describe('Only where the signature is good'),
    success: z.literal(false),
    reason: CommandRefusal,
    detail: z.string(),
  }),
]);
export type CommandResult = z.infer<typeof CommandResult>;
