import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { announcePlatform } from '@signet/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceFolder, leaf, onboard, openMqttSession, rotate } from '../src/index.ts';
import { bootstrapUrlHere, followLocalPlatform, type PlatformNews } from '../src/local-platform.ts';
import { TestFactory } from './devices.ts';

describe('an agent on the machine of its platform', () => {
  let root: string;
  let env: DevEnv;
  let factory: TestFactory;
  const stack = new AsyncDisposableStack();
  const data = () => join(root, 'data');
  const here = (path: string) => new DeviceFolder(path, undefined, undefined, bootstrapUrlHere(data()));
  const start = async () => {
    env = await startDevEnv({ dataDir: data(), env: { SIGNET_BOOTSTRAP_RETRY_SECONDS: '1' } });
  };
  const addresses = () => {
    const { ports, operator } = env;
    const at = (port: number, scheme = 'https') => `${scheme}://localhost:${port}`;
    return {
      api: operator.url,
      bootstrap: at(ports.bootstrap),
      est: at(ports.est),
      mqtt: at(ports.mqtt, 'mqtts'),
      gateway: at(ports.gateway),
      trustAnchors: [],
    };
  };
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'signet-local-'));
    stack.defer(() => rm(root, { recursive: true, force: true }));
    await start();
    stack.defer(() => env[Symbol.asyncDispose]());
    factory = stack.use(await TestFactory.open(env));
  });
  afterAll(() => stack.disposeAsync());

  it('follows the platform to other ports, before its claim and after it', async () => {
    const fresh = await factory.claimed('moves-fresh');
    const live = await factory.claimed('moves-live');
    await onboard(live.folder);
    const before = (await live.folder.bundle()) ?? expect.unreachable();
    await env[Symbol.asyncDispose]();
    await start();
    using _notice = announcePlatform(data(), addresses());

    const identity = await onboard(here(fresh.folder.path));
    await using _fresh = await openMqttSession(
      (await fresh.folder.bundle()) ?? expect.unreachable(),
      identity,
    );

    const news: PlatformNews[] = [];
    const folder = here(live.folder.path);
    const options = { dataDir: data(), report: (each: PlatformNews) => news.push(each) };
    await followLocalPlatform(folder, options);
    expect(news).toEqual([{ step: 'platform-found', file: 'bundle.json', url: addresses().gateway }]);
    const after = (await folder.bundle()) ?? expect.unreachable();
    expect({ ...after, est: before.est, mqtt: before.mqtt, gateway: before.gateway }).toEqual(before);
    const renewed = await rotate(folder);
    expect(leaf(renewed).subject.commonName).toBe('moves-live');
    await using _live = await openMqttSession(after, renewed);
    await followLocalPlatform(folder, options);
    expect(news).toHaveLength(1);
  });

  it('leaves a device alone whose files name another machine, or where no platform runs', async () => {
    await using another = await TestFactory.open(env);
    const { folder } = await another.make('elsewhere');
    const { identity, trust } = await folder.factoryFiles();
    await folder.putFactoryFiles({ ...identity, trust, url: 'https://signet.example:8444' });
    {
      using _notice = announcePlatform(data(), addresses());
      expect((await here(folder.path).factoryFiles()).url).toBe('https://signet.example:8444');
      await rm(join(folder.path, 'bootstrap.json'));
      expect((await here(folder.path).factoryFiles()).url).toBe(addresses().bootstrap);
    }
    await expect(here(folder.path).factoryFiles()).rejects.toMatchObject({ code: 'not-a-device-folder' });
  });
});
