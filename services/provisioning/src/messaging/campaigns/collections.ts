import type { Collection, Store } from '@signet/store';
import {
  type CampaignDevice,
  type CampaignDeviceIndex,
  type CampaignIndex,
  type CampaignRecord,
  campaignDevices,
  campaignRecords,
} from '../../domain/campaigns/campaign.ts';

export type CampaignStore = {
  readonly campaigns: Collection<CampaignRecord, CampaignIndex>;
  readonly campaignDevices: Collection<CampaignDevice, CampaignDeviceIndex>;
};

export async function openCampaignStore(store: Store): Promise<CampaignStore> {
  return {
    campaigns: await store.collection(campaignRecords),
    campaignDevices: await store.collection(campaignDevices),
  };
}
