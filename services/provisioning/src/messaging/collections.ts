import type { Collection, Store } from '@signet/store';
import { type MqttCredentials, mqttCredentials } from '../domain/credentials/mqtt-credentials.ts';
import { provisioningRequests } from '../domain/requests/provisioning-request.ts';
import { updateEvents, updates } from '../domain/updates/update-event.ts';
import { type CampaignStore, openCampaignStore } from './campaigns/collections.ts';
import { type ConfigStore, openConfigStore } from './config/collections.ts';
import { type GroupStore, openGroupStore } from './groups/membership.ts';
import type { Requests } from './requests/operators.ts';
import type { UpdateStore } from './updates/reports.ts';

/** Every collection of the service. */
export type ProvisioningStore = ConfigStore &
  GroupStore &
  UpdateStore &
  CampaignStore & {
    readonly requests: Requests;
    readonly credentials: Collection<MqttCredentials>;
  };

export async function openProvisioningStore(store: Store): Promise<ProvisioningStore> {
  const config = await openConfigStore(store);
  return {
    ...config,
    ...(await openGroupStore(store, config)),
    ...(await openCampaignStore(store)),
    events: await store.collection(updateEvents),
    updates: await store.collection(updates),
    requests: await store.collection(provisioningRequests),
    credentials: await store.collection(mqttCredentials),
  };
}
