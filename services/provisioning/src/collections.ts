import type { CollectionSpec, Store } from '@signet/store';
import { CampaignDevice, CampaignRecord } from './domain/campaigns/campaign.ts';
import { DeviceConfig } from './domain/config/device-config.ts';
import { SharedLayer } from './domain/config/layer.ts';
import { Membership } from './domain/config/readers.ts';
import { MqttCredentials } from './domain/credentials/mqtt-credentials.ts';
import { DeviceLabels, GroupRecord } from './domain/groups/group.ts';
import { KeyRing } from './domain/keys/key-ring.ts';
import { ProvisioningRequest } from './domain/requests/provisioning-request.ts';
import { Update, UpdateEvent } from './domain/updates/update-event.ts';

export const keyRings = {
  name: 'provisioning.key-rings',
  schema: KeyRing,
  indexes: {
    byAccount: { fields: ['account', 'deviceId'] },
    rotating: { fields: ['account', 'rotatingSince'] },
  },
} as const satisfies CollectionSpec<KeyRing>;

export const deviceConfigs = {
  name: 'provisioning.configs',
  schema: DeviceConfig,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<DeviceConfig>;

export const sharedLayers = {
  name: 'provisioning.config-layers',
  schema: SharedLayer,
  indexes: {},
} as const satisfies CollectionSpec<SharedLayer>;

export const mqttCredentials = {
  name: 'provisioning.mqtt-credentials',
  schema: MqttCredentials,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<MqttCredentials>;

export const provisioningRequests = {
  name: 'provisioning.requests',
  schema: ProvisioningRequest,
  indexes: {
    open: { fields: ['clientId', 'openUntil'] },
    byClient: { fields: ['clientId', 'createdAt'] },
    byDevice: { fields: ['account', 'deviceId', 'createdAt'] },
    byRequest: { fields: ['account', 'requestId'] },
    byState: { fields: ['account', 'state', 'requestId'] },
    byEnd: { fields: ['openUntil'] },
  },
} as const satisfies CollectionSpec<ProvisioningRequest>;

export const groupRecords = {
  name: 'provisioning.groups',
  schema: GroupRecord,
  indexes: { byAccount: { fields: ['account', 'name'] } },
} as const satisfies CollectionSpec<GroupRecord>;

export const memberships = {
  name: 'provisioning.memberships',
  schema: Membership,
  indexes: {
    byGroup: { fields: ['account', 'group', 'deviceId'] },
    byDevice: { fields: ['account', 'deviceId', 'group'] },
  },
} as const satisfies CollectionSpec<Membership>;

export const deviceLabels = {
  name: 'provisioning.labels',
  schema: DeviceLabels,
  indexes: { byAccount: { fields: ['account', 'deviceId'] } },
} as const satisfies CollectionSpec<DeviceLabels>;

export const updateEvents = {
  name: 'provisioning.update-events',
  schema: UpdateEvent,
  indexes: {
    byUpdate: { fields: ['account', 'deviceId', 'updateId', 'order'] },
    byAge: { fields: ['receivedAt'] },
  },
} as const satisfies CollectionSpec<UpdateEvent>;

export const updates = {
  name: 'provisioning.updates',
  schema: Update,
  indexes: {
    byDevice: { fields: ['account', 'deviceId', 'startedAt'] },
    byAge: { fields: ['lastAt'] },
  },
} as const satisfies CollectionSpec<Update>;

export const campaignRecords = {
  name: 'provisioning.campaigns',
  schema: CampaignRecord,
  indexes: {
    byAccount: { fields: ['account', 'campaignId'] },
    active: { fields: ['active', 'account'] },
  },
} as const satisfies CollectionSpec<CampaignRecord>;

export const campaignDevices = {
  name: 'provisioning.campaign-devices',
  schema: CampaignDevice,
  indexes: {
    byState: { fields: ['campaignId', 'state', 'deviceId'] },
    unwritten: { fields: ['campaignId', 'unwritten'] },
    byOrder: { fields: ['campaignId', 'state', 'orderedAt'] },
    byDevice: { fields: ['account', 'deviceId', 'campaignId'] },
  },
} as const satisfies CollectionSpec<CampaignDevice>;

/** Every collection of the service. */
export type Collections = Awaited<ReturnType<typeof openCollections>>;

export async function openCollections(store: Store) {
  return {
    rings: await store.collection(keyRings),
    configs: await store.collection(deviceConfigs),
    layers: await store.collection(sharedLayers),
    credentials: await store.collection(mqttCredentials),
    requests: await store.collection(provisioningRequests),
    groups: await store.collection(groupRecords),
    members: await store.collection(memberships),
    labels: await store.collection(deviceLabels),
    events: await store.collection(updateEvents),
    updates: await store.collection(updates),
    campaigns: await store.collection(campaignRecords),
    campaignDevices: await store.collection(campaignDevices),
  };
}
