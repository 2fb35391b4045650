import { CommandName, DeviceId, MAX_COMMAND_PAYLOAD, MAX_COMMAND_SECONDS, Time } from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import type { RouteParts } from '../routes.ts';
import { sendCommand } from '../send-command.ts';
import { inAccount, nothing } from './shapes.ts';

const payload = z
  .unknown()
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value ?? null)) <= MAX_COMMAND_PAYLOAD,
    `at most ${MAX_COMMAND_PAYLOAD} bytes of JSON`,
  )
  .optional()
  .describe('What the program gets on its standard input, as JSON');

export function commandRoutes(parts: Pick<RouteParts, 'bus' | 'now'>): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/devices/{deviceId}/commands',
      summary: 'Send a device a command, signed by the account’s command key; it answers on `up/command`',
      permission: 'devices:write',
      params: inAccount.extend({ deviceId: DeviceId }),
      query: nothing,
      body: z.object({
        name: CommandName.describe('The program that runs on the device'),
        payload,
        expiresInSeconds: z.number().int().min(1).max(MAX_COMMAND_SECONDS).default(300),
      }),
      response: z.object({ id: z.uuid(), expiresAt: Time }),
      status: 201,
      handle: async ({ params, body, note }) => {
        const sent = await sendCommand(parts, { ...params, ...body });
        note(`command ${body.name} ${sent.id}`);
        return sent;
      },
    }),
  ];
}
