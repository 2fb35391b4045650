import { z } from 'zod';
import { ControlChannel, type ControlCommand } from './control-channel.ts';

/** The role of a denied device: it may neither publish, nor subscribe, nor be sent anything. */
const ROLE = 'signet-denied';
const deaf = ['publishClientSend', 'publishClientReceive', 'subscribePattern'].map((acltype) => {
  return { acltype, topic: '#', allow: false, priority: 1000 };
});
/** Devices in one message to the broker. */
const AT_ONCE = 250;

const Roles = z.object({ roles: z.array(z.string()) });
const Listed = z.object({
  clients: z.array(
    z.object({
      username: z.string(),
      roles: z.array(z.object({ rolename: z.string() })).default([]),
    }),
  ),
});

/**
 * Keeps denied devices out of a mosquitto that names clients by the common name of their certificate: its dynamic
 * security plugin ends the sessions of a client that is disabled, and leaves one with the role above nothing to do when it
 * connects again. What is not denied the plugin does not know, and other access control decides.
 */
export class DeniedClients implements AsyncDisposable {
  readonly #url: string;
  /** Device id → Unix seconds at which its denial ends; 0 for never. */
  readonly #denied = new Map<string, number>();
  /** What the broker was told is denied. */
  #told = new Set<string>();
  #channel: ControlChannel | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** `expiresAt` in Unix seconds, 0 for never; undefined where it is not denied. */
  set(deviceId: string, expiresAt: number | undefined): void {
    if (expiresAt === undefined) this.#denied.delete(deviceId);
    else this.#denied.set(deviceId, expiresAt);
  }

  /** Nothing is denied as far as is known. */
  clear(): void {
    this.#denied.clear();
  }

  /** Has the broker know what is denied at `now` (Unix seconds). What fails is done by the next call. */
  async bringUpToDate(now: number): Promise<void> {
    for (const [deviceId, expiresAt] of this.#denied)
      if (expiresAt !== 0 && expiresAt <= now) this.#denied.delete(deviceId);
    const channel = await this.#open();
    const toDeny = [...this.#denied.keys()].filter((deviceId) => !this.#told.has(deviceId));
    const toLift = [...this.#told].filter((deviceId) => !this.#denied.has(deviceId));
    await this.#tell(channel, toDeny, denyCommands, (deviceId) => this.#told.add(deviceId));
    await this.#tell(channel, toLift, liftCommands, (deviceId) => this.#told.delete(deviceId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel?.[Symbol.asyncDispose]();
  }

  async #tell(
    channel: ControlChannel,
    deviceIds: readonly string[],
    commands: (deviceId: string) => readonly ControlCommand[],
    note: (deviceId: string) => void,
  ): Promise<void> {
    for (let i = 0; i < deviceIds.length; i += AT_ONCE) {
      const some = deviceIds.slice(i, i + AT_ONCE);
      try {
        await channel.send(some.flatMap(commands));
      } catch (error) {
        // what it has done of them is asked for anew
        await this.#close();
        throw error;
      }
      for (const deviceId of some) note(deviceId);
    }
  }

  /** A broker that is new, or was unavailable, is asked what it knows. */
  async #open(): Promise<ControlChannel> {
    if (this.#channel?.isOpen === true) return this.#channel;
    await this.#close();
    const channel = await ControlChannel.connect(this.#url);
    try {
      const [roles] = await channel.send([{ command: 'listRoles', count: -1, offset: 0 }]);
      if (!Roles.parse(roles).roles.includes(ROLE))
        await channel.send([{ command: 'createRole', rolename: ROLE, acls: deaf }]);
      const [listed] = await channel.send([{ command: 'listClients', verbose: true, count: -1, offset: 0 }]);
      const ours = Listed.parse(listed).clients.filter(({ roles }) =>
        roles.some(({ rolename }) => rolename === ROLE),
      );
      this.#told = new Set(ours.map(({ username }) => username));
    } catch (error) {
      await channel[Symbol.asyncDispose]();
      throw error;
    }
    this.#channel = channel;
    return channel;
  }

  async #close(): Promise<void> {
    const channel = this.#channel;
    this.#channel = undefined;
    await channel?.[Symbol.asyncDispose]();
  }
}

function denyCommands(username: string): ControlCommand[] {
  const roles = [{ rolename: ROLE, priority: 1000 }];
  const textname = 'denied by Signet';
  return [
    { command: 'createClient', username, textname, roles },
    { command: 'disableClient', username },
  ];
}

function liftCommands(username: string): ControlCommand[] {
  return [{ command: 'deleteClient', username }];
}
