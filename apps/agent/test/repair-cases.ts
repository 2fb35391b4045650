import { readFile, rm, writeFile } from 'node:fs/promises';
import { encryptConfigValue, generateKeyPair } from '@signet/pki';
import { AgentError, type DeviceFolder, repair, rotate } from '../src/index.ts';
import { aFolder, also, changed, cut, type Damage, path, write } from './damage.ts';

type Devices = {
  /** A device at work. */
  readonly atWork: () => Promise<DeviceFolder>;
  /** Leaves it in a rotation that was cut. */
  readonly inRotation: Damage;
};

const BACK =
  /^set it aside; the agent goes back to bootstrap, with the identity of the factory, for a fresh grant/;
const AGAIN = /^set it aside; the config is fetched again, whole/;
const foreign = () =>
  encryptConfigValue(
    generateKeyPair('P-256').publicKey.export({ format: 'der', type: 'spki' }),
    Buffer.from('x'),
  );

/** A damage that repair mends. */
export type Case = {
  readonly what: string;
  readonly damage: Damage;
  /** How the agent fails on it; by default it runs into it. */
  readonly use?: (folder: DeviceFolder) => Promise<unknown>;
  readonly file: string;
  readonly reason: RegExp;
  readonly remedy: RegExp;
};

/** Each file of a device folder, damaged in each way. */
export function damages({ atWork, inRotation }: Devices): Case[] {
  /** What another device has in this file. */
  const anothers = (file: string) => async (folder: DeviceFolder) => {
    const other = await atWork();
    await writeFile(path(folder, file), await readFile(path(other, file)));
  };
  return [
    {
      what: 'a bundle that is empty',
      file: 'bundle.json',
      damage: write('bundle.json', ''),
      reason: /^broken: /,
      remedy: BACK,
    },
    {
      what: 'a bundle that is cut',
      file: 'bundle.json',
      damage: cut('bundle.json'),
      reason: /^broken: /,
      remedy: BACK,
    },
    {
      what: 'another file as bundle',
      file: 'bundle.json',
      damage: write('bundle.json', '{"url":"https://x"}'),
      reason: /^broken: /,
      remedy: BACK,
    },
    {
      what: 'trust anchors that are none',
      file: 'bundle.json',
      damage: changed('bundle.json', (text) =>
        text.replace(/BEGIN CERTIFICATE-----\\n.{40}/, 'BEGIN CERTIFICATE-----\\n'),
      ),
      reason: /^trustAnchors: /,
      remedy: BACK,
    },
    {
      what: 'an identity that is empty',
      file: 'operational.pem',
      damage: write('operational.pem', ''),
      reason: /^no private key: /,
      remedy: BACK,
    },
    {
      what: 'an identity that is cut',
      file: 'operational.pem',
      damage: cut('operational.pem'),
      reason: /^no (private key|certificate): /,
      remedy: BACK,
    },
    {
      what: 'an identity of another device',
      file: 'operational.pem',
      damage: anothers('operational.pem'),
      reason: /^the certificate is of acme\/repair-\d+, the bundle of acme\/repair-\d+$/,
      remedy: BACK,
    },
    {
      what: 'a certificate of another key',
      file: 'operational.pem',
      damage: changed('operational.pem', (text) =>
        text.replace(
          /^[\s\S]*?(?=-----BEGIN CERT)/,
          String(generateKeyPair('P-256').privateKey.export({ format: 'pem', type: 'pkcs8' })),
        ),
      ),
      reason: /^the certificate is for another key$/,
      remedy: BACK,
    },
    {
      what: 'a folder as identity',
      file: 'operational.pem',
      damage: aFolder('operational.pem'),
      reason: /^a folder lies in its place$/,
      remedy: BACK,
    },
    {
      what: 'an identity that is cut, the next one at hand',
      file: 'operational.pem',
      damage: also(inRotation, cut('operational.pem')),
      reason: /^no (private key|certificate): /,
      remedy: /^set it aside; the identity that the rotation has brought \(next\.pem\) comes into force$/,
    },
    {
      what: 'a next identity that is cut',
      file: 'next.pem',
      damage: also(inRotation, cut('next.pem')),
      use: rotate,
      reason: /^no (private key|certificate): /,
      remedy: /^set it aside; the rotation begins again/,
    },
    {
      what: 'a next identity of another device',
      file: 'next.pem',
      damage: also(inRotation, async (folder) => {
        const other = await atWork();
        await inRotation(other);
        await writeFile(path(folder, 'next.pem'), await readFile(path(other, 'next.pem')));
      }),
      use: rotate,
      reason: /^the certificate is of acme\//,
      remedy: /^set it aside; the rotation begins again/,
    },
    {
      what: 'a journal of a next identity that is gone',
      file: 'rotation.json',
      damage: also(inRotation, (folder) => rm(path(folder, 'next.pem'))),
      use: rotate,
      reason: /^it is at step "enrolled", and next\.pem is gone$/,
      remedy: /^set it aside; what it had brought is dropped, the key in force stays/,
    },
    {
      what: 'a journal of another key than the next identity',
      file: 'rotation.json',
      damage: also(
        inRotation,
        changed('rotation.json', (text) => text.replace(/"publicKeyHash":".{4}/, '"publicKeyHash":"0000')),
      ),
      use: rotate,
      reason: /^it is at step "enrolled", and next\.pem is for another key$/,
      remedy: /^set it aside; what it had brought is dropped/,
    },
    {
      what: 'a journal that is cut',
      file: 'rotation.json',
      damage: also(inRotation, cut('rotation.json')),
      use: rotate,
      reason: /^broken: /,
      remedy: /^set it aside; what it had brought is dropped/,
    },
    {
      what: 'a pending key that is none',
      file: 'pending.key',
      damage: write('pending.key', 'garbage'),
      use: (folder) => folder.pendingKey(),
      reason: /^no private key: /,
      remedy: /^set it aside; the enrolment begins again/,
    },
    {
      what: 'a config that is empty',
      file: 'config.json',
      damage: write('config.json', ''),
      reason: /^broken: /,
      remedy: AGAIN,
    },
    {
      what: 'a config that is cut',
      file: 'config.json',
      damage: cut('config.json'),
      reason: /^broken: /,
      remedy: AGAIN,
    },
    {
      what: 'a config for another key',
      file: 'config.json',
      damage: changed('config.json', (text) =>
        text.replace(/"Value":"[^"]+"/, () => `"Value":"${foreign()}"`),
      ),
      use: async (folder) => {
        const found = await repair(folder);
        if (found.length > 0)
          throw new AgentError('broken-folder', `${folder.path}/config.json: ${found[0]?.reason}`);
      },
      reason: /^wifi: value: it is for another key, or was changed$/,
      remedy: AGAIN,
    },
    {
      what: 'a file of software that is cut',
      file: 'updates/state.json',
      damage: write('updates/state.json', '{"pump":'),
      reason: /^broken: /,
      remedy: /^set it aside; software that its config names is fetched/,
      use: async (folder) => (await import('../src/updates/update-state.ts')).stateOf(folder, 'pump'),
    },
    {
      what: 'a memory of commands that is empty',
      file: 'commands.json',
      damage: write('commands.json', ''),
      reason: /^broken: /,
      remedy: /^set it aside; commands that were given before now are refused/,
      use: async (folder) => (await import('../src/commands/seen-commands.ts')).readSeenCommands(folder),
    },
    {
      what: 'a clock’s floor that is none',
      file: 'clock.json',
      damage: write('clock.json', '{"floor":"soon"}'),
      reason: /^broken: /,
      remedy: /^set it aside; the clock/,
      use: (folder) => folder.clockFloor(),
    },
  ];
}
