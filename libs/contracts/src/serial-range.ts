/**
 * Serial numbers of devices as people write sets of them: `SN-0001`, or `SN-0001..SN-9999`. The two ends of a range
 * differ in their last run of digits alone, which has the same width in both, so that every member has a name.
 */
export type SerialRange = {
  readonly prefix: string;
  readonly suffix: string;
  readonly width: number;
  readonly first: number;
  readonly last: number;
};

const PARTS = /^(.*?)(\d+)(\D*)$/s;
/** More digits than these do not count exactly. */
const MOST_DIGITS = 15;

/** The range that a text is, or undefined where it is a single serial number. @throws RangeError for half a range */
export function parseSerialRange(text: string): SerialRange | undefined {
  const at = text.indexOf('..');
  if (at < 0) return undefined;
  const [from, to] = [PARTS.exec(text.slice(0, at)), PARTS.exec(text.slice(at + 2))];
  const refuse = (reason: string): never => {
    throw new RangeError(`serial range "${text}": ${reason}`);
  };
  if (from === null || to === null) return refuse('both ends need a number, as in SN-0001..SN-9999');
  const [, prefix = '', low = '', suffix = ''] = from;
  const [, toPrefix, high = '', toSuffix] = to;
  if (prefix !== toPrefix || suffix !== toSuffix) return refuse('its ends differ in more than their number');
  if (low.length !== high.length) return refuse('the numbers of its ends differ in width');
  if (low.length > MOST_DIGITS) return refuse(`a number has at most ${MOST_DIGITS} digits`);
  const range = { prefix, suffix, width: low.length, first: Number(low), last: Number(high) };
  return range.first > range.last ? refuse('its end comes before its beginning') : range;
}

export function serialRangeSize({ first, last }: SerialRange): number {
  return last - first + 1;
}

/** Its serial numbers, in order. */
export function* serialsIn(range: SerialRange): Generator<string> {
  for (let number = range.first; number <= range.last; number++)
    yield `${range.prefix}${String(number).padStart(range.width, '0')}${range.suffix}`;
}

/** Whether a serial number is one of these, each a single one or a range. */
export function isSerialAmong(serial: string, among: readonly string[]): boolean {
  return among.some((entry) => {
    const range = parseSerialRange(entry);
    return range === undefined ? entry === serial : isInRange(serial, range);
  });
}

function isInRange(serial: string, { prefix, suffix, width, first, last }: SerialRange): boolean {
  if (serial.length !== prefix.length + width + suffix.length) return false;
  if (!serial.startsWith(prefix) || !serial.endsWith(suffix)) return false;
  const digits = serial.slice(prefix.length, prefix.length + width);
  return /^\d+$/.test(digits) && Number(digits) >= first && Number(digits) <= last;
}
