import { parseDeviceTopic } from '@signet/contracts';

/** Whose session it is: what its certificate says. */
export type Owner = { readonly account: string; readonly deviceId: string };

/** The broker's own name of a session: two accounts may both have a `dev-1`. */
export function sessionKey({ account, deviceId }: Owner): string {
  return `${account}/${deviceId}`;
}

/** The inverse of {@link sessionKey}. */
export function ownerOfKey(key: string): Owner | undefined {
  const [account, deviceId, ...more] = key.split('/');
  return account && deviceId && more.length === 0 ? { account, deviceId } : undefined;
}

/** The one device that may receive on this topic; undefined for topics that have no such device. */
export function ownerOfTopic(topic: string): Owner | undefined {
  const parsed = parseDeviceTopic(topic);
  return parsed?.way === 'down' ? { account: parsed.account, deviceId: parsed.device } : undefined;
}

/** Whether the device of this session key may hold a subscription to this filter. */
export function mayHold(key: string, filter: string): boolean {
  const owner = ownerOfKey(key);
  return owner !== undefined && maySubscribe(owner, filter);
}

/** MQTT 3.1.1 §4.7: whether a filter takes a topic in. */
export function topicMatches(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  if (wanted.at(-1) === '#') {
    const before = wanted.slice(0, -1);
    return levels.length >= before.length && before.every((level, i) => level === '+' || level === levels[i]);
  }
  return wanted.length === levels.length && wanted.every((level, i) => level === '+' || level === levels[i]);
}

/**
 * Where a message that a device publishes goes on the bus: the levels below its own `up/`. Undefined where it may not
 * publish: another's topic, the other way, a wildcard, an empty level (it has no name on the bus).
 */
export function publishLevels(owner: Owner, topic: string): readonly string[] | undefined {
  const parsed = parseDeviceTopic(topic);
  if (parsed === undefined || parsed.way !== 'up' || !isOwn(owner, parsed)) return undefined;
  const isPlain = parsed.levels.every((level) => level !== '' && !/[+#\0]/.test(level));
  return isPlain ? parsed.levels : undefined;
}

/** A device may subscribe below its own `down/`, and to what its account shares; wildcards only below these. */
export function maySubscribe(owner: Owner, filter: string): boolean {
  if (!isFilter(filter)) return false;
  const parsed = parseDeviceTopic(filter);
  if (parsed !== undefined) return parsed.way === 'down' && isOwn(owner, parsed);
  return filter.startsWith(`a/${owner.account}/shared/`);
}

/** Of the filters that a device may hold: whether it is of what its account shares with all its devices. */
export function isShared(filter: string): boolean {
  return filter.startsWith('a/');
}

/** Checked again for each message that is about to leave for a device. */
export function mayReceive(owner: Owner, topic: string): boolean {
  return !/[+#]/.test(topic) && maySubscribe(owner, topic);
}

function isOwn(owner: Owner, topic: { account: string; device: string }): boolean {
  return topic.account === owner.account && topic.device === owner.deviceId;
}

/** MQTT 3.1.1 §4.7.1: `#` alone in the last level, `+` alone in its level. */
function isFilter(filter: string): boolean {
  const levels = filter.split('/');
  return levels.every((level, i) => {
    if (level === '#') return i === levels.length - 1;
    return level === '+' || !/[+#\0]/.test(level);
  });
}
