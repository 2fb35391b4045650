import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { QueuedMessage, SessionStore, StoredMessage } from '../src/domain/session/session-store.ts';

const KEY = 'acme/dev-1';
const TOPIC = 'd/acme/dev-1/down/x';
const AMPLE = { messages: 1000, bytes: 1_000_000 };

export type ContractStore = SessionStore & AsyncDisposable;

const message = (text: string, more: Partial<StoredMessage> = {}): StoredMessage => ({
  ...{ topic: TOPIC, qos: 1, payload: Buffer.from(text) },
  ...more,
});
const texts = (messages: readonly StoredMessage[]) => messages.map(({ payload }) => payload.toString());

/** What a node does when a device connects: it claims the session, and opens it. */
export async function connect(store: SessionStore, key: string, node: string) {
  const claim = await store.claim(key, node);
  const opened = await store.open(key, claim.claim);
  if (opened === undefined) throw new Error('a later claim has the session');
  return { ...opened, ...claim };
}

/** What every session store does. `open` gives one on the same data each time; `setClock` sets what it takes for now. */
export function sessionStoreContract(
  name: string,
  parts: {
    readonly isThere: boolean;
    readonly open: (now: () => number) => Promise<ContractStore>;
    readonly clear: () => Promise<void>;
  },
): void {
  describe.skipIf(!parts.isThere)(`session store: ${name}`, () => {
    let store: ContractStore;
    let now: number;
    const restart = async () => {
      await store[Symbol.asyncDispose]();
      store = await parts.open(() => now);
      await store.ready();
    };
    beforeEach(async () => {
      now = Date.now();
      store = await parts.open(() => now);
      await store.ready();
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await parts.clear();
    });
    const begin = async () => (await connect(store, KEY, 'one')).record.epoch;
    const append = (epoch: string, text: string, more: object = {}) =>
      store.append(KEY, epoch, message(text), { limits: AMPLE, ...more });
    const takeAll = async (epoch: string, after = 0) => (await store.take(KEY, epoch, after, 100)).messages;

    it('a session without subscriptions is present when its device comes again', async () => {
      expect(await store.find(KEY)).toBeUndefined();
      expect((await connect(store, KEY, 'one')).isPresent).toBe(false);
      await restart();
      expect(await connect(store, KEY, 'one')).toMatchObject({
        ...{ isPresent: true, sentUpTo: 0, unreleased: [], record: { subscriptions: [] } },
      });
    });

    it('subscriptions, messages and unreleased QoS 2 messages are there after a restart', async () => {
      const epoch = await begin();
      await store.subscribe(KEY, epoch, [{ filter: TOPIC, qos: 1 }]);
      await append(epoch, 'a');
      await store.receive(KEY, epoch, 7);
      await restart();
      const again = await connect(store, KEY, 'one');
      expect(again.record.subscriptions).toEqual([{ filter: TOPIC, qos: 1 }]);
      expect(again.unreleased).toEqual([7]);
      expect(texts(await takeAll(epoch))).toEqual(['a']);
    });

    it('what MQTT 5 adds to subscriptions and messages comes back as it was, and fields that nobody knows too', async () => {
      const epoch = await begin();
      const subscription = {
        ...{ filter: TOPIC, qos: 2 as const, noLocal: true, retainAsPublished: true },
        ...{ retainHandling: 2 as const, identifier: 9, later: 'kept' },
      };
      await store.subscribe(KEY, epoch, [subscription]);
      const more = {
        ...{ properties: { contentType: 'a/b', userProperties: { x: ['1', '2'] } }, isReceived: true },
        ...{ subscriptionIdentifiers: [9], expiresAt: now + 60_000, packetId: 5, later: 'kept' },
      };
      await store.append(KEY, epoch, message('a', more), { limits: AMPLE });
      await restart();
      expect((await store.find(KEY))?.subscriptions).toEqual([subscription]);
      expect((await takeAll(epoch))[0]).toMatchObject(more);
    });

    it('a filter that is subscribed to again has its new QoS; one that is given up is gone', async () => {
      const epoch = await begin();
      await store.subscribe(KEY, epoch, [
        { filter: 'a', qos: 0 },
        { filter: 'b', qos: 1 },
      ]);
      await Promise.all([
        store.subscribe(KEY, epoch, [{ filter: 'a', qos: 2 }]),
        store.unsubscribe(KEY, epoch, ['b', 'never held']),
        store.subscribe(KEY, epoch, [{ filter: 'c', qos: 1 }]),
      ]);
      const held = (await store.find(KEY))?.subscriptions.toSorted((a, b) => (a.filter < b.filter ? -1 : 1));
      expect(held).toEqual([
        { filter: 'a', qos: 2 },
        { filter: 'c', qos: 1 },
      ]);
    });

    it('messages come in the order in which they were queued, page by page, each of them once', async () => {
      const epoch = await begin();
      const all = Array.from({ length: 25 }, (_, n) => `${n}`);
      await Promise.all(all.map((text) => append(epoch, text)));
      const seen: QueuedMessage[] = [];
      for (let after = 0; ; ) {
        const { messages, upTo } = await store.take(KEY, epoch, after, 10);
        if (messages.length === 0) break;
        seen.push(...messages);
        after = upTo;
      }
      expect(texts(seen)).toEqual(all);
    });

    it('a message with the id of one that was queued is not queued again, be that one acknowledged or not', async () => {
      const epoch = await begin();
      expect((await append(epoch, 'a', { id: '1-17' })).outcome).toBe('queued');
      expect((await append(epoch, 'a', { id: '1-17' })).outcome).toBe('repeated');
      const [first] = await takeAll(epoch);
      await store.remove(KEY, [first?.seq ?? 0]);
      expect((await append(epoch, 'a', { id: '1-17' })).outcome).toBe('repeated');
      expect((await append(epoch, 'b', { id: '2-18' })).outcome).toBe('queued');
      expect(texts(await takeAll(epoch))).toEqual(['b']);
    });

    it('is full at so many messages, or bytes, and takes more once one is acknowledged', async () => {
      const epoch = await begin();
      const limits = { messages: 2, bytes: 10 };
      expect((await append(epoch, 'a', { limits })).outcome).toBe('queued');
      expect((await append(epoch, '1234567890', { limits })).outcome).toBe('full');
      expect((await append(epoch, 'b', { limits })).outcome).toBe('queued');
      expect((await append(epoch, 'c', { limits })).outcome).toBe('full');
      expect(await store.waiting(KEY)).toEqual({ messages: 2, bytes: 2 });
      const [first] = await takeAll(epoch);
      await store.remove(KEY, [first?.seq ?? 0, 99]);
      expect((await append(epoch, 'd', { limits })).outcome).toBe('queued');
      expect(texts(await takeAll(epoch))).toEqual(['b', 'd']);
    });

    it('knows which messages may have been sent', async () => {
      const epoch = await begin();
      await append(epoch, 'a');
      expect((await connect(store, KEY, 'one')).sentUpTo).toBe(0);
      const [first] = await takeAll(epoch);
      expect((await connect(store, KEY, 'one')).sentUpTo).toBe(first?.seq);
      await append(epoch, 'b');
      await append(epoch, 'c', { isSent: true });
      await restart();
      expect((await connect(store, KEY, 'one')).sentUpTo).toBe((await takeAll(epoch)).at(-1)?.seq);
    });

    it('what a connection leaves comes before and between what was queued, as it was sent, and before what follows', async () => {
      const epoch = await begin();
      await append(epoch, 'b');
      await append(epoch, 'd');
      const { messages, upTo } = await store.take(KEY, epoch, 0, 100);
      const [b, d] = messages.map(({ seq }) => seq);
      const between = ((b ?? 0) + (d ?? 0)) / 2;
      await store.leave(KEY, epoch, {
        messages: [
          { ...message('a', { packetId: 3 }), seq: (b ?? 0) / 3 },
          { ...message('c'), seq: between },
          { ...message('e'), seq: upTo + 1 / 3 },
        ],
        sentUpTo: between,
        next: Math.floor(upTo) + 2,
      });
      await append(epoch, 'f');
      await restart();
      const { sentUpTo } = await connect(store, KEY, 'one');
      const all = await takeAll(epoch);
      expect(texts(all)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
      expect(all.filter(({ seq }) => seq <= sentUpTo).map(({ payload }) => payload.toString())).toEqual([
        ...['a', 'b', 'c'],
      ]);
      expect(all[0]?.packetId).toBe(3);
      await store.remove(
        KEY,
        all.map(({ seq }) => seq),
      );
      expect(await store.waiting(KEY)).toEqual({ messages: 0, bytes: 0 });
    });

    it('a clean start ends the session; what was decided on it is not done to the next one', async () => {
      const epoch = await begin();
      await append(epoch, 'a');
      await store.receive(KEY, epoch, 7);
      await store.end(KEY, 'one');
      expect(await store.find(KEY)).toBeUndefined();
      const { record, isPresent, unreleased } = await connect(store, KEY, 'one');
      expect({ isPresent, unreleased }).toEqual({ isPresent: false, unreleased: [] });
      expect((await append(epoch, 'late')).outcome).toBe('gone');
      await store.subscribe(KEY, epoch, [{ filter: 'late', qos: 1 }]);
      await store.receive(KEY, epoch, 8);
      await store.leave(KEY, epoch, { messages: [{ ...message('late'), seq: 0.5 }], sentUpTo: 1, next: 3 });
      expect((await store.find(KEY))?.subscriptions).toEqual([]);
      expect(await takeAll(record.epoch)).toEqual([]);
      expect((await connect(store, KEY, 'one')).unreleased).toEqual([]);
    });

    it('drops what has waited for too long, and takes others in its place', async () => {
      const epoch = await begin();
      const limits = { messages: 2, bytes: 100 };
      await append(epoch, 'old', { limits });
      await store.append(KEY, epoch, message('short', { expiresAt: now + 1000 }), { limits });
      now += 2000;
      expect(texts(await takeAll(epoch))).toEqual(['old']);
      now += 3_600_000;
      expect((await append(epoch, 'new', { limits })).outcome).toBe('queued');
      expect(texts(await takeAll(epoch))).toEqual(['new']);
    });

    it('payloads are kept byte by byte', async () => {
      const epoch = await begin();
      const payload = Buffer.from([0, 10, 255, 32, 128, 10, 0]);
      await store.append(KEY, epoch, { topic: 'd/ü/\n', qos: 1, payload }, { limits: AMPLE });
      expect((await takeAll(epoch))[0]).toMatchObject({ topic: 'd/ü/\n', payload });
    });

    it('of an account that is deleted no session, message, will and retained message is left, and of the one beside it all', async () => {
      const theirs = 'acme-2/dev-1';
      for (const [account, key] of [
        ['acme', KEY],
        ['acme-2', theirs],
      ] as const) {
        const { epoch } = (await connect(store, key, 'one')).record;
        await store.append(key, epoch, message('a'), { limits: AMPLE });
        await store.retain(account, message('kept', { topic: `g/${account}/x`, retain: true }));
        await store.putWill({ ...message('will'), key, session: 'connection', node: 'one' });
      }
      expect(await store.erase('acme', 'one')).toBe(1);
      expect(await store.erase('acme', 'one')).toBe(0);
      await restart();
      expect(await store.find(KEY)).toBeUndefined();
      expect(await store.waiting(KEY)).toMatchObject({ messages: 0 });
      expect(await store.retained('acme')).toEqual([]);
      expect((await store.wills()).map(({ key }) => key)).toEqual([theirs]);
      expect(await store.waiting(theirs)).toMatchObject({ messages: 1 });
      expect(texts(await store.retained('acme-2'))).toEqual(['kept']);
    });

    it('a QoS 2 message is known until it is released', async () => {
      const epoch = await begin();
      await store.receive(KEY, epoch, 1);
      await store.receive(KEY, epoch, 2);
      await store.receive(KEY, epoch, 2);
      await store.release(KEY, 1);
      expect((await connect(store, KEY, 'one')).unreleased).toEqual([2]);
    });

    it('a will is kept until it is dropped, which a connection does for its own alone', async () => {
      const will = { ...message('gone'), key: KEY, node: 'one' };
      await store.putWill({ ...will, session: 's-1' });
      await store.putWill({ ...will, session: 's-2', properties: { willDelayInterval: 5 } });
      await store.dropWill(KEY, 's-1');
      await restart();
      expect(await store.wills()).toEqual([
        { ...will, session: 's-2', properties: { willDelayInterval: 5 } },
      ]);
      await store.dropWill(KEY, 's-2');
      expect(await store.wills()).toEqual([]);
    });

    it('what an account retains is its own, the last of each topic, until it is taken back', async () => {
      const shared = (text: string, topic = 'a/acme/shared/x') => message(text, { topic, qos: 0 });
      await store.retain('acme', shared('1'));
      await store.retain('acme', shared('2'));
      await store.retain('acme', shared('3', 'a/acme/shared/y'));
      await store.retain('other', shared('4', 'a/other/shared/x'));
      await restart();
      expect(texts(await store.retained('acme')).toSorted()).toEqual(['2', '3']);
      await store.retain('acme', shared(''));
      expect(texts(await store.retained('acme'))).toEqual(['3']);
    });
  });
}
