import { StoreError } from '@signet/store';
import { type Grants, grantId } from './grant.ts';

/**
 * Voids the grant of a device that was blocked or retired at `at` (Unix ms). A grant made after that stands: the
 * event came late.
 */
export async function voidGrant(
  grants: Pick<Grants, 'update'>,
  device: { readonly account: string; readonly deviceId: string },
  cause: { readonly reason: string; readonly at: number; readonly eventId: string },
): Promise<void> {
  try {
    await grants.update(
      grantId(device.account, device.deviceId),
      (grant) =>
        grant.voided !== undefined || Date.parse(grant.createdAt) > cause.at
          ? undefined
          : { document: { ...grant, voided: cause.reason } },
      { appliedEvent: cause.eventId },
    );
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
  }
}
