import { MAX_SUBJECT_BYTES, mqttSubject, parseDeviceTopic, sharedSubject } from '@signet/contracts';

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

/** Levels that a topic or filter may have: what aedes bears. */
const MAX_LEVELS = 100;

/** The highest QoS that these subscriptions grant for a topic (MQTT-3.3.5-1); undefined where none takes it in. */
export function grantedQos(
  subscriptions: Iterable<{ readonly filter: string; readonly qos: number }>,
  topic: string,
): number | undefined {
  let granted: number | undefined;
  for (const { filter, qos } of subscriptions)
    if ((granted === undefined || qos > granted) && topicMatches(filter, topic)) granted = qos;
  return granted;
}

/**
 * Where a message that a device publishes goes on the bus: the levels below its own `up/`. Undefined where it may not
 * publish; {@link publishRefusal} says why.
 */
export function publishLevels(owner: Owner, topic: string): readonly string[] | undefined {
  return publishRefusal(owner, topic) === undefined ? parseDeviceTopic(topic)?.levels : undefined;
}

/**
 * Why a device may not publish to a topic: another's, the other way, a wildcard, an empty level (it has no name on the
 * bus), or longer than the bus bears. Undefined where it may.
 */
export function publishRefusal(owner: Owner, topic: string): string | undefined {
  const parsed = parseDeviceTopic(topic);
  if (parsed === undefined || parsed.way !== 'up' || !isOwn(owner, parsed))
    return "is not below the device's own up/";
  if (parsed.levels.includes(''))
    return 'has an empty level (it ends in "/", or has "//"), which is not carried';
  if (parsed.levels.some((level) => /[+#\0]/.test(level))) return 'has a wildcard or U+0000';
  return sizeRefusal(topic, () => mqttSubject(owner.account, owner.deviceId, 'up', parsed.levels));
}

/** A device may subscribe below its own `down/`, and to what its account shares; wildcards only below these. */
export function maySubscribe(owner: Owner, filter: string): boolean {
  return subscribeRefusal(owner, filter) === undefined;
}

/** Why a device may not hold a filter. A filter that is longer than any subject takes no message in. */
export function subscribeRefusal(owner: Owner, filter: string): string | undefined {
  if (!isFilter(filter)) return 'is not a topic filter: "#" stands last, "+" and "#" alone in their level';
  const parsed = parseDeviceTopic(filter);
  const isOfDevice = parsed !== undefined && parsed.way === 'down' && isOwn(owner, parsed);
  const shared = `a/${owner.account}/shared/`;
  if (!isOfDevice && !filter.startsWith(shared)) return "is neither below the device's own down/ nor shared";
  return sizeRefusal(filter, () =>
    isOfDevice
      ? mqttSubject(owner.account, owner.deviceId, 'down', parsed.levels.map(named))
      : sharedSubject(owner.account, filter.slice(shared.length).split('/').map(named)),
  );
}

/** Empty levels may be in a filter. */
function named(level: string): string {
  return level === '' ? '_' : level;
}

function sizeRefusal(topic: string, subject: () => string): string | undefined {
  const levels = topic.split('/').length;
  if (levels > MAX_LEVELS) return `has ${levels} levels, at most ${MAX_LEVELS} are carried`;
  // each unit of a string has at most three bytes, each written with three characters
  if (topic.length * 9 <= MAX_SUBJECT_BYTES - 16) return undefined;
  const bytes = subject().length;
  if (bytes <= MAX_SUBJECT_BYTES) return undefined;
  return `is too long: ${bytes} bytes as a subject of the bus, at most ${MAX_SUBJECT_BYTES} are carried`;
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
