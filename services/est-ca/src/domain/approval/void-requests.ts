import type { RequestDocument, Requests } from './enrollment-request.ts';

/**
 * A device was reset, given up or retired at `at` (Unix ms): what it had asked for by then, and what was approved and not
 * used, is gone. It asks anew, and its owner decides anew. What was issued stays on record.
 */
export async function voidRequests(
  requests: Pick<Requests, 'find' | 'remove'>,
  device: { readonly account: string; readonly deviceId: string },
  { at }: { readonly at: number },
): Promise<void> {
  const { account, deviceId } = device;
  const isMeant = (request: RequestDocument) =>
    request.deviceId === deviceId && Date.parse(request.provenAt) <= at;
  for (const state of ['waiting', 'approved'] as const) {
    let cursor: string | undefined;
    do {
      const page = await requests.find({
        ...{ index: 'state', equals: { account, state }, to: new Date(at + 1).toISOString(), limit: 500 },
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { id } of page.items.filter(isMeant)) await requests.remove(id);
      cursor = page.next;
    } while (cursor !== undefined);
  }
}
