import { CodedError } from './coded-error.ts';

/** Why JSON of a stranger is not read. */
export type ForeignJsonFault =
  | 'too-long'
  | 'not-utf8'
  | 'malformed'
  | 'too-deep'
  | 'too-many-values'
  | 'duplicate-key'
  | 'forbidden-key';

/** JSON of a stranger that is not read. The message names what it is, and the limit. */
export class ForeignJsonError extends CodedError<ForeignJsonFault> {
  /** `field`: what was read, as the message names it. */
  constructor(code: ForeignJsonFault, field: string, reason: string, options?: ErrorOptions) {
    super(code, `${field}: ${reason}`, { ...options, field });
  }
}

export type ForeignJsonLimits = {
  /** Bytes, or characters of what is text already. */
  readonly bytes: number;
  /** Levels of objects and arrays. */
  readonly depth: number;
  /** Values in all: members, items, and what holds them. */
  readonly values: number;
};

/** Ample for every message of the platform's protocols; who takes more, or longer, says so. */
export const foreignJsonLimits: ForeignJsonLimits = { bytes: 8 * 1024 * 1024, depth: 32, values: 50_000 };

/**
 * Reads JSON that somebody outside the platform sent: the only way in for it. Length, depth and number of values are
 * bounded before anything is parsed, in one pass that takes about as long as copying the text. A member name that comes
 * twice (RFC 7493 §2.3) and names that reach an object's prototype are refused, however they are escaped.
 *
 * @param field what the text is to its sender, for the message: `body`, `payload`
 * @throws ForeignJsonError
 */
export function readForeignJson(
  json: string | Uint8Array,
  field: string,
  limits: Partial<ForeignJsonLimits> = {},
): unknown {
  const { bytes, depth, values } = { ...foreignJsonLimits, ...limits };
  if (json.length > bytes) throw new ForeignJsonError('too-long', field, `longer than ${bytes} bytes`);
  const text = typeof json === 'string' ? json : decoded(json, field);
  scan(text, field, depth, values);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ForeignJsonError('malformed', field, 'it is not JSON', { cause });
  }
}

/** Below this length no text is deep or wide enough to hold anything up. */
const HARMLESS = 4096;

/**
 * Checks the depth alone, for messages between services: what they hold came in through {@link readForeignJson}, but
 * whoever reaches the bus could send others. @throws ForeignJsonError
 */
export function checkJsonDepth(text: string, field: string, depth = 64): void {
  if (text.length > HARMLESS) scan(text, field, depth, Number.POSITIVE_INFINITY);
}

function decoded(text: Uint8Array, field: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
  } catch (cause) {
    throw new ForeignJsonError('not-utf8', field, 'it is not UTF-8', { cause });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** What an open object or array has so far; of an array there are no names. */
type Level = { readonly names: Set<string> | undefined; name: string | undefined };

/**
 * Looks at the brackets, commas and names of a text. In all that is JSON it sees what `JSON.parse` will see; in what is
 * none it does so up to the first fault, which is where `JSON.parse` ends.
 */
function scan(text: string, field: string, depth: number, most: number): void {
  const levels: Level[] = [];
  const checksNames = most !== Number.POSITIVE_INFINITY;
  let values = 0;
  let strings = 0;
  let expectsName = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const end = endOfString(text, i);
        strings++;
        if (expectsName && checksNames) nameOf(text.slice(i, end + 1), levels, field);
        expectsName = false;
        i = end;
        break;
      }
      case OPEN_BRACKET:
      case OPEN_BRACE: {
        const isObject = text.charCodeAt(i) === OPEN_BRACE;
        if (levels.length >= depth)
          throw new ForeignJsonError('too-deep', field, `nested deeper than ${depth} levels`);
        values++;
        levels.push({ names: isObject && checksNames ? new Set() : undefined, name: undefined });
        expectsName = isObject;
        break;
      }
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        levels.pop();
        expectsName = false;
        break;
      case COMMA:
        values++;
        expectsName = levels.at(-1)?.names !== undefined;
        break;
    }
    // names are no values, and between two strings of JSON there is a comma or a colon
    if (values > most || strings > 2 * most + 1)
      throw new ForeignJsonError('too-many-values', field, `more than ${most} values`);
  }
}

/** The closing quote, or the end of the text where there is none. */
function endOfString(text: string, start: number): number {
  for (let end = start + 1; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if (code === QUOTE) return end;
    if (code === BACKSLASH) end++;
  }
  return text.length;
}

function nameOf(quoted: string, levels: readonly Level[], field: string): void {
  const level = levels.at(-1);
  if (level?.names === undefined) return;
  const name = quoted.includes('\\') ? unescaped(quoted) : quoted.slice(1, -1);
  if (name === '__proto__' || (name === 'prototype' && levels.at(-2)?.name === 'constructor'))
    throw new ForeignJsonError('forbidden-key', field, `"${name}" is not taken as a name`);
  if (level.names.has(name)) {
    const told = JSON.stringify(name.slice(0, 64));
    throw new ForeignJsonError('duplicate-key', field, `${told} comes twice in one object`);
  }
  level.names.add(name);
  level.name = name;
}

/** A name that is no JSON string stays as it is: the whole text will not be read either. */
function unescaped(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted;
  }
}
