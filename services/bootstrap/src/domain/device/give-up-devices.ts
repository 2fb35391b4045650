import type { Context } from '../../context.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { unclaim } from './reset.ts';

/** Devices that leave at a time. */
const PAGE = 200;

/**
 * Gives up every device of an account, each with its own event: another account can claim it. One that is blocked or
 * retired stays so. Repeating it goes on where it was interrupted.
 */
export async function giveUpDevices(
  { devices, now }: Pick<Context, 'devices' | 'now'>,
  { account, by }: { readonly account: string; readonly by: string },
): Promise<void> {
  const giveUp = async (id: string): Promise<void> => {
    try {
      await devices.update(id, (current) =>
        current.account === account ? unclaim(current, { by, now: now() }) : undefined,
      );
    } catch (error) {
      if (!(error instanceof BootstrapError && error.code === 'illegal-transition')) throw error;
    }
  };
  let cursor: string | undefined;
  do {
    const page = await devices.find({
      ...{ index: 'byAccount', equals: { account }, limit: PAGE },
      ...(cursor === undefined ? {} : { cursor }),
    });
    await Promise.all(page.items.map(({ id }) => giveUp(id)));
    cursor = page.next;
  } while (cursor !== undefined);
}
