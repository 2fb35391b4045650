import { getCrlSource, listDenied } from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CrlFixture, DENIED, MAKER, openCrlFixture, until } from './crl-fixture.ts';
import { OpensslCa } from './pki.ts';

let crls: CrlFixture;
beforeEach(async () => {
  crls = await openCrlFixture();
});
afterEach(() => crls[Symbol.asyncDispose]());

describe('a CRL of a foreign PKI', () => {
  it('F30: what openssl lists is denied with the number of the CRL, and its devices are told of', async () => {
    await crls.start();
    const { list } = await crls.fixture.listener();
    const [one, two] = [await crls.ca.sign('one'), await crls.ca.sign('two')];
    await crls.ca.revoke('one');
    await crls.add();
    const source = await crls.upload(await crls.ca.crl());
    expect(source.parts).toMatchObject([{ name: 'upload', number: '10', entries: 1 }]);
    await until(() => expect(list.denied(crls.foreign(one))).toBe(DENIED));
    expect(list.denied(crls.foreign(two))).toBeUndefined();
    expect(crls.told).toMatchObject([
      { number: '10', listed: [{ serialNumber: one, reason: 'keyCompromise' }], unlisted: [] },
    ]);
    const { items } = await crls.fixture.bus.request(listDenied, { account: 'acme' });
    expect(items).toMatchObject([{ reason: 'keyCompromise', source: 'CRL 10 of "maker"' }]);
    await until(() =>
      expect(crls.events).toEqual([
        {
          type: 'CRL_SOURCE_CHANGED',
          data: { source: 'maker', part: 'upload', number: '10', entries: 1, listed: 1, unlisted: 0 },
        },
      ]),
    );
  });

  it('lifts what leaves it, and only that; removing the source lifts all', async () => {
    await crls.start();
    const { list } = await crls.fixture.listener();
    const [one, two] = [await crls.ca.sign('one'), await crls.ca.sign('two')];
    for (const device of ['one', 'two']) await crls.ca.revoke(device, 'certificateHold');
    await crls.add();
    await crls.upload(await crls.ca.crl());
    await crls.ca.unrevoke('one');
    await crls.upload(await crls.ca.crl());
    await until(() => expect(list.denied(crls.foreign(one))).toBeUndefined());
    expect(list.denied(crls.foreign(two))).toBe(DENIED);
    expect(crls.told.at(-1)).toMatchObject({ number: '11', listed: [], unlisted: [one] });
    expect(await crls.remove()).toBe(1);
    await until(() => expect(list.size()).toBe(0));
    await expect(crls.fixture.bus.request(getCrlSource, MAKER)).rejects.toMatchObject({
      code: 'unknown-crl-source',
    });
  });

  it('of which a delta is taken only with its base, and removeFromCRL in it lifts', async () => {
    await crls.start();
    const { list } = await crls.fixture.listener();
    const [one, two] = [await crls.ca.sign('one'), await crls.ca.sign('two')];
    await crls.add();
    await crls.ca.revoke('one', 'certificateHold');
    const base = await crls.ca.crl({ number: '0A' });
    await crls.ca.revoke('two');
    const delta = await crls.ca.crl({ extensions: 'delta_ext', number: '0B' });
    await expect(crls.upload(delta)).rejects.toMatchObject({
      code: 'crl-refused',
      message: 'base-missing: deltaCRLIndicator: goes with CRL 10, the complete one here is missing',
    });
    await crls.upload(base);
    expect((await crls.upload(delta)).parts).toMatchObject([{ number: '11', entries: 2 }]);
    await until(() => expect(list.denied(crls.foreign(two))).toBe(DENIED));
    expect(list.denied(crls.foreign(one))).toBe(DENIED);
    const back = [{ serialNumber: one, reason: 'removeFromCRL' as const }, { serialNumber: two }];
    const third = await crls.ca.list({ number: 12, baseNumber: 10, entries: back });
    expect((await crls.upload(third)).parts).toMatchObject([{ number: '12', entries: 1 }]);
    await until(() => expect(list.denied(crls.foreign(one))).toBeUndefined());
    expect(list.denied(crls.foreign(two))).toBe(DENIED);
    expect(crls.told.at(-1)).toMatchObject({ number: '12', listed: [], unlisted: [one] });
    const corrected = await crls.ca.list({ number: 13, entries: [] });
    expect((await crls.upload(corrected)).parts).toMatchObject([{ number: '13', entries: 0 }]);
    await until(() => expect(list.size()).toBe(0));
  });

  it('names its delta, which is fetched with it', async () => {
    await crls.start();
    const { list } = await crls.fixture.listener();
    const freshestUrls = [`${crls.url}/delta.crl`];
    const whole = await crls.ca.list({ number: 10, freshestUrls, entries: [{ serialNumber: '77' }] });
    let delta = await crls.ca.list({ number: 11, baseNumber: 10, entries: [{ serialNumber: '78' }] });
    crls.answer = (request, response) => response.end(request.url === '/delta.crl' ? delta : whole);
    await crls.add({ urls: [`${crls.url}/a.crl`] });
    expect((await crls.fetch()).parts).toMatchObject([{ number: '11', entries: 2 }]);
    delta = await crls.ca.list({
      ...{ number: 12, baseNumber: 10 },
      entries: [{ serialNumber: '77', reason: 'removeFromCRL' }, { serialNumber: '78' }],
    });
    expect((await crls.fetch()).parts).toMatchObject([{ number: '12', entries: 1 }]);
    await until(() => expect(list.denied(crls.foreign('77'))).toBeUndefined());
    expect(list.denied(crls.foreign('78'))).toBe(DENIED);
  });

  it('in partitions: each speaks of its own certificates, and none stands in for another', async () => {
    await crls.start();
    const { list } = await crls.fixture.listener();
    const one = await crls.ca.sign('one');
    await crls.ca.revoke('one');
    const full = await crls.ca.crl({ extensions: 'part_a' });
    await crls.ca.unrevoke('one');
    const empty = await crls.ca.crl({ extensions: 'part_b' });
    let b = empty;
    crls.answer = (request, response) => response.end(request.url === '/a.crl' ? full : b);
    await crls.add({ urls: [`${crls.url}/a.crl`, `${crls.url}/b.crl`] });
    const source = await crls.fetch();
    expect(source.parts).toMatchObject([{ entries: 1 }, { entries: 0 }]);
    await until(() => expect(list.denied(crls.foreign(one))).toBe(DENIED));
    b = await crls.ca.crl({ extensions: 'part_a' });
    expect((await crls.fetch()).parts[1]?.error).toMatchObject({ code: 'other-scope' });
    expect(list.denied(crls.foreign(one))).toBe(DENIED);
  });

  it('is asked for with the validators of the last, and not read again where it is the same', async () => {
    await crls.start();
    const crl = await crls.ca.crl();
    const asked: (string | undefined)[] = [];
    crls.answer = (request, response) => {
      asked.push(request.headers['if-none-match']);
      if (request.headers['if-none-match'] === '"a"') response.writeHead(304).end();
      else response.writeHead(200, { etag: '"a"' }).end(crl);
    };
    await crls.add({ urls: [`${crls.url}/a.crl`] });
    await crls.fetch();
    const source = await crls.fetch();
    expect(asked[0]).toBeUndefined();
    expect(asked.at(-1)).toBe('"a"');
    expect(source.parts).toMatchObject([{ number: '10' }]);
    const wait = Date.parse(source.nextFetchAt ?? '') - crls.fixture.clock.now;
    expect(wait).toBeGreaterThanOrEqual(86_400_000 * 0.9);
    expect(wait).toBeLessThanOrEqual(86_400_000 * 1.1);
  });

  it('F66: of a CA that is not the account’s own cannot be followed at all', async () => {
    await crls.start();
    await using other = await OpensslCa.create('/CN=Other');
    await expect(crls.add({ issuer: await other.certificate })).rejects.toMatchObject({
      code: 'foreign-issuer',
      message: 'issuer: account "acme" has no CA with this key',
    });
  });
});
