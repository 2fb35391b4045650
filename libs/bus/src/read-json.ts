import { checkJsonDepth } from '@signet/contracts';

/** Reads what came over the bus: of services, but whoever reaches the bus could send more. @throws Error */
export function readJson(text: string): unknown {
  checkJsonDepth(text, 'message');
  return JSON.parse(text);
}
