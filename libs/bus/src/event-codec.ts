import { parseEvent, type SignetEvent } from '@signet/contracts';

/** An event, or why the bytes are none. */
export type Decoded =
  | { readonly event: SignetEvent }
  | { readonly event: undefined; readonly text: string; readonly problem: string };

export function encodeEvent(event: SignetEvent): string {
  return JSON.stringify(event);
}

export function decodeEvent(text: string): Decoded {
  try {
    return { event: parseEvent(JSON.parse(text)) };
  } catch (error) {
    return { event: undefined, text, problem: `malformed event: ${String(error)}` };
  }
}
