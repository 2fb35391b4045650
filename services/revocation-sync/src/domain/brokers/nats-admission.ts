import { type DenyList, peerDenyKeys } from '@signet/denylist';
import {
  decodePem,
  type PeerRefusal,
  type VerifiedPeer,
  type VerifyPeerInput,
  verifyPeer,
} from '@signet/pki';
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
function leafOf({ nats }: NatsQuestion): string | undefined {
  return nats.client_tls?.verified_chains?.[0]?.[0] ?? nats.client_tls?.certs?.[0];
}

/** Decides on a session at a NATS server: by the same function, CAs and deny list as at our own listeners. */
export function admitNatsSession(
  ctx: {
    readonly denyList: Pick<DenyList, 'admitting'>;
    readonly trust: { issuers(): VerifyPeerInput['issuers'] };
    readonly now: () => number;
  },
  asked: NatsQuestion,
): VerifiedPeer | PeerRefusal {
  const pem = leafOf(asked);
  const admitting = ctx.denyList.admitting();
  const verdict = verifyPeer({
    leaf: pem === undefined ? undefined : decodePem(pem, 'CERTIFICATE'),
    issuers: ctx.trust.issuers(),
    purposes: ['operational'],
    now: ctx.now(),
    denied: (facts) => {
      const checked = admitting.ok ? admitting.list.check(peerDenyKeys(facts)) : 'clear';
      return checked === 'clear' ? undefined : `its ${checked.denied} is denied`;
    },
    allowExpired: false,
  });
  if (!verdict.ok) return verdict;
  if (!admitting.ok) return { ok: false, code: admitting.code, message: admitting.message };
  const { account = '', deviceId = '', fingerprint } = verdict.facts;
  const wanted = natsClientId(account, deviceId);
  const { mqtt_id: shown } = asked.nats.client_info;
  if (shown === wanted) return verdict;
  const message = `client id: "${shown}" is not "${wanted}"`;
  return { ok: false, code: 'wrong-client-id', message, fingerprint, account, deviceId };
}

/** The MQTT client id that a device must use: NATS keeps sessions by it, and two accounts may have one device id. */
export function natsClientId(account: string, deviceId: string): string {
  return `${account}.${deviceId}`;
}

/** What a device may do: its own topics as subjects, and what NATS' MQTT needs for itself. */
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
