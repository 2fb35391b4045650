import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CutPower, quickFiles } from '../../test/cut-power.ts';
import { type FileCalls, fileCalls } from '../files/file-calls.ts';
import { MessageQueue } from './message-queue.ts';

const bounds = { messages: 1000, bytes: 8 * 1024 * 1024 };
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signet-queue-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (options: Partial<Parameters<typeof MessageQueue.open>[1]> = {}, path = folder) =>
  MessageQueue.open(path, { files: quickFiles, bounds, ...options });

/** The payloads that wait, in order. */
async function waiting(queue: MessageQueue): Promise<string[]> {
  const all: string[] = [];
  for (let last = queue.delivered; ; ) {
    const message = await queue.after(last);
    if (message === undefined) return all;
    expect(message.number).toBeGreaterThan(last);
    last = message.number;
    all.push(Buffer.from(message.payload).toString());
  }
}

const add = (queue: MessageQueue, text: string) => queue.add('topic', Buffer.from(text));

describe('the queue of messages', () => {
  it('gives them in order, also those that it kept before it was opened', async () => {
    {
      await using queue = await open();
      await Promise.all(['a', 'b', 'c'].map((text) => add(queue, text)));
      expect(await waiting(queue)).toEqual(['a', 'b', 'c']);
      queue.deliveredUpTo(1);
    }
    await using again = await open();
    await add(again, 'd');
    expect(await waiting(again)).toEqual(['b', 'c', 'd']);
    expect(again.size.messages).toBe(3);
  });

  it('keeps nothing twice once it has been delivered and the agent ended in order', async () => {
    {
      await using queue = await open();
      await add(queue, 'once');
      queue.deliveredUpTo(1);
    }
    await using again = await open();
    expect(await waiting(again)).toEqual([]);
    expect(await add(again, 'next')).toBe(2);
  });

  it('refuses the newest where so many messages wait as may, and takes others when those are gone', async () => {
    await using queue = await open({ bounds: { ...bounds, messages: 2 } });
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((text) => add(queue, text)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await expect(add(queue, 'd')).rejects.toMatchObject({
      code: 'queue-full',
      message: 'message: 2 wait, no more than 2 may',
    });
    queue.deliveredUpTo(1);
    await add(queue, 'e');
    expect(await waiting(queue)).toEqual(['b', 'e']);
  });

  it('refuses the newest where so many bytes wait as may, counting those that are being written', async () => {
    await using queue = await open({ bounds: { ...bounds, bytes: 100 } });
    const first = queue.add('topic', Buffer.alloc(60));
    await expect(queue.add('topic', Buffer.alloc(60))).rejects.toMatchObject({ code: 'queue-full' });
    await first;
    expect(queue.size).toEqual({ messages: 1, bytes: 84 });
    await expect(queue.add('topic', Buffer.alloc(60))).rejects.toThrow(
      'message: 84 bytes wait, no more than 100 may',
    );
  });

  it('takes many that come at once in batches, so that no segment outgrows its size by much', async () => {
    await using queue = await open();
    const large = Array.from({ length: 30 }, (_, i) => Buffer.alloc(100_000, i));
    await Promise.all(large.map((payload) => queue.add('topic', payload)));
    const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size);
    for (const size of await Promise.all(sizes)) expect(size).toBeLessThan(1.5 * 1024 * 1024);
    expect(sizes.length).toBeGreaterThan(1);
    for (const [i, payload] of large.entries())
      expect(Buffer.from((await queue.after(i))?.payload ?? []).equals(payload)).toBe(true);
  });

  it('takes no more disk than its bound and two segments', async () => {
    await using queue = await open({ segmentBytes: 1000 });
    for (let i = 1; i <= 100; i++) queue.deliveredUpTo((await queue.add('topic', Buffer.alloc(100))) - 1);
    await expect
      .poll(async () => {
        const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size);
        return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
      })
      .toBeLessThan(2500);
  });

  it('writers that come together share an fsync', async () => {
    let syncs = 0;
    const counting: FileCalls = {
      ...quickFiles,
      async create(path, mode) {
        const file = await quickFiles.create(path, mode);
        return { ...file, sync: async () => void syncs++ };
      },
    };
    await using queue = await open({ files: counting });
    await Promise.all(Array.from({ length: 200 }, (_, i) => add(queue, String(i))));
    expect(syncs).toBeLessThan(5);
    expect(await waiting(queue)).toEqual(Array.from({ length: 200 }, (_, i) => String(i)));
  });

  it('a disk that takes nothing more refuses them, and those before stay in order', async () => {
    let isFull = false;
    const full: FileCalls = {
      ...quickFiles,
      async create(path, mode) {
        const file = await quickFiles.create(path, mode);
        const write = async (bytes: Uint8Array) => {
          if (!isFull) return await file.write(bytes);
          await file.write(bytes.subarray(0, bytes.length - 1));
          throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        };
        return { ...file, write };
      },
    };
    {
      await using queue = await open({ files: full });
      await add(queue, 'before');
      isFull = true;
      await expect(add(queue, 'refused')).rejects.toMatchObject({
        code: 'disk',
        message: 'message: ENOSPC: no space left on device',
      });
      await expect(add(queue, 'refused')).rejects.toMatchObject({ code: 'disk' });
      isFull = false;
      expect(await add(queue, 'after')).toBe(2);
      expect(await waiting(queue)).toEqual(['before', 'after']);
    }
    await using again = await open();
    expect(await waiting(again)).toEqual(['before', 'after']);
  });

  it('cut off at any byte of its end, it has all before that byte, and goes on', async () => {
    {
      await using queue = await open();
      for (const text of ['a', 'bb', 'ccc']) await add(queue, text);
    }
    const [name = ''] = await readdir(folder);
    const file = join(folder, name);
    const whole = await readFile(file);
    for (let length = whole.length; length >= 0; length--) {
      await rm(folder, { recursive: true });
      const path = join(folder, String(length));
      await fileCalls.makeFolder(path);
      await writeFile(join(path, name), whole);
      await truncate(join(path, name), length);
      await using queue = await open({}, path);
      const left = await waiting(queue);
      expect(['a', 'bb', 'ccc'].slice(0, left.length)).toEqual(left);
      if (length === whole.length) expect(left).toHaveLength(3);
      await add(queue, 'new');
      expect(await waiting(queue)).toEqual([...left, 'new']);
      expect(queue.damaged).toBe(0);
    }
  });

  it('says how many messages a disk has destroyed, keeps the file, and goes on with the others', async () => {
    {
      await using queue = await open({ segmentBytes: 50 });
      for (const text of ['a', 'b', 'c']) await add(queue, text.repeat(40));
    }
    const names = (await readdir(folder)).sort();
    expect(names).toHaveLength(3);
    const file = join(folder, names[1] ?? '');
    const bytes = await readFile(file);
    bytes[bytes.length - 1] = 0;
    await writeFile(file, bytes);
    await using queue = await open();
    expect(queue.damaged).toBe(1);
    expect(await waiting(queue)).toEqual(['a'.repeat(40), 'c'.repeat(40)]);
    queue.deliveredUpTo(3);
    await add(queue, 'next');
    await expect.poll(() => readdir(folder)).toContain(`${names[1]}.damaged`);
    expect(await waiting(queue)).toEqual(['next']);
  });
});

describe('the power is cut at every change of the queue’s files', () => {
  it('all that was acknowledged is there, in order, and what was delivered in good time is not', async () => {
    let n = 1;
    for (let isCut = true; isCut; n++) {
      for (const [seed, random] of [() => 0, () => 0.5, () => 0.999].entries()) {
        const path = join(folder, `${n}-${seed}`);
        const power = new CutPower(n, random);
        const kept = new Map<string, number>();
        let delivered = 0;
        const queue = await open({ files: power.calls, segmentBytes: 150 }, path);
        for (let round = 0; round < 9; round++) {
          const texts = [0, 1, 2].map((i) => `message ${round}-${i}`);
          const adding = texts.map((text) =>
            add(queue, text).then(
              (number) => void kept.set(text, number),
              () => {},
            ),
          );
          await Promise.all(adding);
          delivered = Math.max(delivered, [...kept.values()].at(-1) ?? 0) - 2;
          queue.deliveredUpTo(delivered);
        }
        await queue[Symbol.asyncDispose]().catch(() => {});
        ({ isCut } = power);
        await power.lose();
        await using again = await open({}, path);
        const left = await waiting(again);
        const due = [...kept].filter(([, number]) => number > delivered).map(([text]) => text);
        expect(left.filter((text) => due.includes(text))).toEqual(due);
        expect(left).toEqual([...left].sort());
        expect(new Set(left).size).toBe(left.length);
        expect(again.damaged).toBe(0);
        if (!isCut) expect(left).toEqual(due);
        const last = Math.max(0, ...kept.values());
        expect(await add(again, 'zzz')).toBeGreaterThan(last);
        expect((await waiting(again)).at(-1)).toBe('zzz');
      }
    }
    console.log(`cut at each of ${n - 2} changes of its files`);
    expect(n).toBeGreaterThan(40);
  });
});
