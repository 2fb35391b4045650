import { parseEvent, type SignetEvent } from '@signet/contracts';
import { readJson } from './read-json.ts';

/** An event, or why the bytes are none. */
export type Decoded =
  | { readonly event: SignetEvent }
  | { readonly event: undefined; readonly text: string; readonly problem: string };

export function encodeEvent(event: SignetEvent): string {
  return JSON.stringify(event);
}

export function decodeEvent(text: string): Decoded {
  try {
    return { event: parseEvent(readJson(text)) };
  } catch (error) {
    return { event: undefined, text, problem: `malformed event: ${String(error)}` };
  }
}
