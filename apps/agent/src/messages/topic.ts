import { deviceTopic, parseDeviceTopic } from '@signet/contracts';
import { MessageError } from './message-error.ts';

const LONGEST = 512;
/** The broker carries topics of 100 levels; four are `d/<account>/<device>/up`. */
const MOST_LEVELS = 96;
/** What the agent itself says; the platform acts on it. */
const OWN = ['status', 'events', 'command'];

type Owner = { readonly account: string; readonly deviceId: string };

/**
 * The levels below the device's own `up/` that a workload publishes to. It may write the whole topic, or what follows
 * `up/`; before the device is claimed nobody knows more.
 * @throws MessageError `bad-topic`
 */
export function workloadLevels(topic: string, owner: Owner | undefined): readonly string[] {
  const refused = (reason: string) => new MessageError('bad-topic', 'topic', reason);
  if (Buffer.byteLength(topic) > LONGEST) throw refused(`more than ${LONGEST} bytes`);
  const whole = parseDeviceTopic(topic);
  if (whole !== undefined) {
    const { account, device, way } = whole;
    if (account !== owner?.account || device !== owner.deviceId) {
      const own = owner === undefined ? 'not claimed yet' : `${owner.account}/${owner.deviceId}`;
      throw refused(`"${topic}" is of ${account}/${device}, this device is ${own}`);
    }
    if (way === 'down') throw refused(`"${topic}" is what the device hears; it says what is below up/`);
  }
  const levels = whole?.levels ?? topic.split('/');
  if (levels.includes('')) throw refused(`"${topic}" has an empty level`);
  if (levels.length > MOST_LEVELS)
    throw refused(`${levels.length} levels, at most ${MOST_LEVELS} are carried`);
  if (levels.some((level) => /[+#\0]/.test(level) || !level.isWellFormed()))
    throw refused(`"${topic}" has "+", "#" or what is no text in a level`);
  const below = levels.join('/');
  if (OWN.includes(below)) throw refused(`"${below}" is the agent's own`);
  return levels;
}

/** As the broker has it. */
export function upTopic({ account, deviceId }: Owner, levels: readonly string[]): string {
  return deviceTopic({ account, device: deviceId, way: 'up', levels });
}
