import { describe, expect, it } from 'vitest';
import { OwnTopics } from './uplink.ts';

const owner = { account: 'acme', deviceId: 'dev-1' };
const subjectOf = (topics: OwnTopics, topic: string | Buffer) => {
  const bytes = Buffer.concat([Buffer.from('before'), Buffer.from(topic), Buffer.from('behind')]);
  return topics.subjectOf(bytes, 6, bytes.length - 6);
};

describe('topics of a device, remembered by their bytes', () => {
  it('gives each its subject, again and again, however many there are', () => {
    const topics = new OwnTopics(owner);
    for (let round = 0; round < 3; round++)
      for (let n = 0; n < 20; n++)
        expect(subjectOf(topics, `d/acme/dev-1/up/n${n}`)).toBe(`signet.mqtt.acme.dev-1.up.n${n}`);
    expect(subjectOf(topics, 'd/acme/dev-1/up/größe')).toBe('signet.mqtt.acme.dev-1.up.gr%C3%B6%C3%9Fe');
  });

  it.each<[string | Buffer, string]>([
    ['', 'none'],
    ['d/acme/dev-2/up/x', "another device's"],
    ['d/rival/dev-1/up/x', "another account's"],
    ['d/acme/dev-1/down/x', 'the other way'],
    ['d/acme/dev-1/up', 'nothing below up/'],
    ['d/acme/dev-1/up/', 'an empty level'],
    ['d/acme/dev-1/up/+', 'a wildcard'],
    ['d/acme/dev-1/up/a#', 'a wildcard'],
    ['d/acme/dev-1/up/a\0', 'NUL'],
    [Buffer.from('642f61636d652f6465762d312f75702fff', 'hex'), 'no UTF-8'],
    [`d/acme/dev-1/up/${Array.from({ length: 101 }, () => 'x').join('/')}`, 'too many levels'],
  ])('F74: refuses %j (%s), also once a good one is known', (topic) => {
    const topics = new OwnTopics(owner);
    expect(subjectOf(topics, topic)).toBeUndefined();
    expect(subjectOf(topics, 'd/acme/dev-1/up/x')).toBeDefined();
    expect(subjectOf(topics, topic)).toBeUndefined();
  });
});
