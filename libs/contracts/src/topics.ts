/** Topics of a device: it publishes below `up`, subscribes below `down`; `request` is the platform's own. */
export type DeviceTopic = {
  readonly account: string;
  readonly device: string;
  readonly way: 'up' | 'down';
  readonly levels: readonly string[];
};

/** `d/<account>/<device>/<up|down>/…`. */
export function deviceTopic(topic: DeviceTopic): string {
  return ['d', topic.account, topic.device, topic.way, ...topic.levels].join('/');
}

/** The parts of a device topic or topic filter, or undefined where it is none. Wildcards stay as they are in `levels`. */
export function parseDeviceTopic(topic: string): DeviceTopic | undefined {
  const [root, account, device, way, ...levels] = topic.split('/');
  if (root !== 'd' || account === undefined || device === undefined || levels.length === 0) return undefined;
  return way === 'up' || way === 'down' ? { account, device, way, levels } : undefined;
}

/** `a/<account>/shared/…`: read by all devices of an account that allows it. */
export function sharedTopic(account: string, levels: readonly string[]): string {
  return ['a', account, 'shared', ...levels].join('/');
}

/** `$signet/<client id>/provisioning/request`, `…/reply` and `…/progress`: the exchange on the provisioning listener. */
export function provisioningTopic(clientId: string, way: 'request' | 'reply' | 'progress'): string {
  return `$signet/${clientId}/provisioning/${way}`;
}

/** Trust domain of a platform that was given no other. */
export const DEFAULT_TRUST_DOMAIN = 'signet.local';

/** `spiffe://<trust domain>/<account>/device/<device id>`. */
export function spiffeId(trustDomain: string, account: string, device: string): string {
  return `spiffe://${trustDomain}/${account}/device/${device}`;
}
