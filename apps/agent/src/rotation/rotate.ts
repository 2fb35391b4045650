import { encodePem } from '@signet/pki';
import { AgentError, requireOwnError } from '../agent-error.ts';
import { deviceNow } from '../clock.ts';
import { readable, reencrypted } from '../config/values.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { type Rotation, type RotationStep, rotationSteps } from '../device-state.ts';
import { type EstServer, reenroll } from '../est-client.ts';
import { GatewayClient } from '../gateway-client.ts';
import { type Identity, leaf } from '../identity.ts';
import { retireKeys } from '../keys/retire-keys.ts';
import type { Reports } from '../messages/report-sender.ts';
import { pendingKeyOf } from '../onboard.ts';
import { refreshAnchors } from '../refresh-anchors.ts';
import { requireJournalled } from './journal.ts';
import { stepReport } from './reports.ts';

export type RotateOptions = {
  /** What an order called it; by default it is named by the time. */
  readonly id?: string;
  readonly signal?: AbortSignal | undefined;
  readonly now?: () => number;
  /** Who tells the platform of the steps; by default each is told once, and lost where that fails. */
  readonly reports?: Reports;
};

type Scene = {
  readonly folder: DeviceFolder;
  readonly gateway: GatewayClient;
  readonly est: EstServer;
  readonly old: Identity;
  readonly now: () => number;
  readonly reports: Reports | undefined;
};

/**
 * Replaces key and certificate in the steps of device-gateway.md, or goes on with the rotation that a cut has left. Each
 * step is in the journal before the next begins, and may be done twice; the old identity works until the new one has
 * been seen, and the new one comes into force in one rename. With an expired certificate only EST answers: what the
 * gateway would have been told is left out, and told by the first contact.
 * @throws AgentError `not-enrolled`, `refused`, `unreachable`, `key-holder`: the rotation goes on at the next call; `broken-folder`
 */
export async function rotate(folder: DeviceFolder, options: RotateOptions = {}): Promise<Identity> {
  const { now = deviceNow, signal, reports } = options;
  const [bundle, current] = await Promise.all([folder.bundle(), folder.operational()]);
  if (bundle === undefined || current === undefined) {
    const message = `${folder.path}: the device has not enrolled yet; run "signet-agent onboard"`;
    throw new AgentError('not-enrolled', message);
  }
  const trust = bundle.trustAnchors.join('\n');
  const scene: Scene = {
    ...{ folder, now, reports, old: current },
    gateway: new GatewayClient(bundle, signal),
    est: { url: bundle.est.url, label: bundle.est.label, trust, signal, keys: folder.keys },
  };
  let rotation = await begun(scene, options.id);
  await requireJournalled(folder, rotation, current);
  for (;;) {
    const index = rotationSteps.indexOf(rotation.step) + 1;
    const step = rotationSteps[index];
    if (step === undefined) break;
    await steps[step](scene, rotation).catch((error: unknown) => givenUp(scene, rotation, error));
    const next = step === 'enrolled' ? await folder.nextIdentity() : undefined;
    const made = next === undefined ? {} : { publicKeyHash: leaf(next).publicKeyHash };
    rotation = { ...rotation, ...made, step };
    await folder.putRotation(rotation);
    await tell(scene, rotation);
  }
  await retireKeys(folder);
  const renewed = await folder.operational();
  if (renewed === undefined)
    throw new AgentError('broken-folder', `${folder.path}/operational.pem: it is gone`);
  return renewed;
}

/** The rotation that is under way, or a new one: in the journal before anybody hears of it. */
async function begun(scene: Scene, id: string | undefined): Promise<Rotation> {
  const { folder, now } = scene;
  const known = await folder.rotation();
  if (known !== undefined && known.step !== 'completed') return known;
  const begins: Rotation = {
    id: id ?? `certs-${Math.floor(now() / 1000)}`,
    step: 'started',
    startedAt: new Date(now()).toISOString(),
  };
  await folder.dropNextIdentity();
  await folder.putRotation(begins);
  await tell(scene, begins);
  return begins;
}

const steps: Readonly<Record<RotationStep, (scene: Scene, rotation: Rotation) => Promise<void>>> = {
  started: async () => {},

  /** EST: the old key by TLS, the new one by the request's signature. The server takes it for announced. */
  async enrolled({ folder, est, old }) {
    const key = await pendingKeyOf(folder);
    await folder.putNextIdentity(await reenroll(est, { key, identity: old }));
  },

  async confirmed(scene) {
    const next = await nextOf(scene);
    await unlessExpired(scene, () => scene.gateway.confirmKey(scene.old, publicKeyPem(next)));
  },

  /** Both forms in one file: whichever identity is in force after a cut can read its own. */
  async 'config-kept'({ folder, old }, _rotation) {
    const [config, next] = await Promise.all([folder.config(), folder.nextIdentity()]);
    if (config === undefined || next === undefined) return;
    const { publicKeyHash } = leaf(next);
    const body = await reencrypted(config.body, old, next);
    await folder.putConfig({ ...config, next: { publicKeyHash, body } });
  },

  /** What only the owner's tools could read with the old key, the server gets for the new one. */
  async 'config-sent'(scene, { id }) {
    const { gateway, old } = scene;
    const next = await nextOf(scene);
    await unlessExpired(scene, async () => {
      const own = await gateway.ownConfig(old);
      const encrypted = Object.entries(own).filter(([, entry]) => entry.Unencrypted !== true);
      if (encrypted.length === 0) return;
      const body = await readable(await reencrypted(Object.fromEntries(encrypted), old, next), next);
      if (Object.keys(body).length === 0) return;
      await gateway.putConfig(old, body, publicKeyPem(next), id);
    });
  },

  async 'in-force'({ folder, est }) {
    const next = await folder.nextIdentity();
    // a cut after the rename and before the journal: it is in force already, and what led to it may be left
    if (next === undefined) await folder.dropNextIdentity();
    else await folder.putOperational(next);
    const [config, operational] = await Promise.all([folder.config(), folder.operational()]);
    if (operational === undefined) return;
    if (config?.next?.publicKeyHash === leaf(operational).publicKeyHash) {
      const { next: ours, ...rest } = config;
      await folder.putConfig({ ...rest, body: ours.body });
    }
    await refreshAnchors(folder, est, operational).catch(untilNextTime);
  },

  /** The first contact with the new key: it is this that ends the old one. */
  async completed({ folder, gateway }) {
    const identity = await folder.operational();
    if (identity !== undefined) await gateway.greet(identity);
  },
};

/** An operator has cancelled it: its key and certificate are of no use any more, the old ones go on. */
async function givenUp({ folder }: Scene, rotation: Rotation, error: unknown): Promise<never> {
  const isBefore = rotationSteps.indexOf(rotation.step) < rotationSteps.indexOf('in-force');
  if (error instanceof AgentError && error.status === 409 && isBefore) {
    await folder.dropNextIdentity();
    await folder.putRotation({ ...rotation, step: 'completed' });
  }
  throw error;
}

/** The new identity; after a cut it may be in force already. */
async function nextOf({ folder, old }: Scene): Promise<Identity> {
  return (await folder.nextIdentity()) ?? old;
}

async function unlessExpired({ old, now }: Scene, call: () => Promise<void>): Promise<void> {
  if (leaf(old).notAfter > now()) await call();
}

/** Nothing waits for the platform to have heard of a step. */
async function tell({ folder, gateway, now, reports }: Scene, { id, step }: Rotation): Promise<void> {
  const report = stepReport(id, step, now());
  if (reports !== undefined) return await reports.report([report]).catch(untilNextTime);
  const identity = await folder.operational();
  if (identity === undefined || leaf(identity).notAfter <= now()) return;
  await gateway.report(identity, [report]).catch(untilNextTime);
}

/** The roots that are in force now are fetched with the next rotation. */
function untilNextTime(error: unknown): void {
  requireOwnError(error);
}

function publicKeyPem(identity: Identity): string {
  return encodePem('PUBLIC KEY', leaf(identity).spkiDer);
}
