import { z } from 'zod';

/** What of a NATS server's question matters: who asks, on which connection, with which certificates. */
export const NatsQuestion = z.object({
  nats: z.object({
    server_id: z.object({ id: z.string(), name: z.string().optional() }),
    user_nkey: z.string(),
    client_info: z.object({
      id: z.number().int(),
      host: z.string().optional(),
      type: z.string().optional(),
      mqtt_id: z.string().optional(),
    }),
    client_tls: z
      .object({
        certs: z.array(z.string()).optional(),
        verified_chains: z.array(z.array(z.string())).optional(),
      })
      .optional(),
  }),
});
export type NatsQuestion = z.infer<typeof NatsQuestion>;

/** PEM of the certificate that the client showed. */
export function leafOf({ nats }: NatsQuestion): string | undefined {
  return nats.client_tls?.verified_chains?.[0]?.[0] ?? nats.client_tls?.certs?.[0];
}

/** The MQTT client id that a device must use: NATS keeps sessions by it, and two accounts may have one device id. */
export function natsClientId(account: string, deviceId: string): string {
  return `${account}.${deviceId}`;
}

/** What a device may do: its own topics (design §11) as subjects, and what NATS' MQTT needs for itself. */
export function natsPermissions(account: string, deviceId: string): object {
  const own = `d.${account}.${deviceId}`;
  return {
    pub: { allow: [`${own}.up.>`] },
    sub: { allow: [`${own}.down.>`, '$MQTT.sub.>', '$MQTT.deliver.pubrel.>'] },
    subs: -1,
    data: -1,
    payload: -1,
  };
}
