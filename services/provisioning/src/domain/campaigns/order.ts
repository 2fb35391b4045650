import type { ConfigFile } from '@signet/contracts';

/** The config file by which a device is told to rotate (device-gateway.md). */
export const ORDER_FILE = 'fio-rotate-certs';

/** What clients of the device gateway run when that file changes. */
const HANDLER = '/usr/share/fioconfig/handlers/renew-client-cert';

/** The order to rotate. Key and certificate ids are those of the two places that clients with an HSM change between. */
export function orderFile(facts: { readonly rotationId: string; readonly estUrl: string }): ConfigFile {
  const lines = [
    `ESTSERVER=${facts.estUrl}/.well-known/est`,
    `ROTATIONID=${facts.rotationId}`,
    'PKEYIDS=01,07',
    'CERTIDS=03,09',
  ];
  return { name: ORDER_FILE, value: `${lines.join('\n')}\n`, unencrypted: true, 'on-changed': [HANDLER] };
}
