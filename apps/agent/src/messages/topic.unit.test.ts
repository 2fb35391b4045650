import { describe, expect, it } from 'vitest';
import { MessageError } from './message-error.ts';
import { workloadLevels } from './topic.ts';

const owner = { account: 'acme', deviceId: 'pump-1' };

describe('the topic of a workload', () => {
  it.each([
    ['temperature', ['temperature']],
    ['hall/3/temperature', ['hall', '3', 'temperature']],
    ['d/acme/pump-1/up/hall/3', ['hall', '3']],
    ['événements/..', ['événements', '..']],
    ['status/mine', ['status', 'mine']],
  ])('%s is below its own up/', (topic, levels) => {
    expect(workloadLevels(topic, owner)).toEqual(levels);
  });

  it('is free before the device is claimed, as long as it names no device', () => {
    expect(workloadLevels('temperature', undefined)).toEqual(['temperature']);
  });

  it.each([
    ['', '"" has an empty level'],
    ['a//b', '"a//b" has an empty level'],
    ['a/', '"a/" has an empty level'],
    ['a/+', '"a/+" has "+", "#" or what is no text in a level'],
    ['#', '"#" has "+", "#" or what is no text in a level'],
    ['a\0b', '"a\0b" has "+", "#" or what is no text in a level'],
    ['\ud800', '"\ud800" has "+", "#" or what is no text in a level'],
    ['d/acme/pump-2/up/a', '"d/acme/pump-2/up/a" is of acme/pump-2, this device is acme/pump-1'],
    ['d/other/pump-1/up/a', '"d/other/pump-1/up/a" is of other/pump-1, this device is acme/pump-1'],
    ['d/acme/pump-1/down/a', '"d/acme/pump-1/down/a" is what the device hears; it says what is below up/'],
    ['events', '"events" is the agent\'s own'],
    ['d/acme/pump-1/up/status', '"status" is the agent\'s own'],
    ['x'.repeat(513), 'more than 512 bytes'],
    [Array(97).fill('a').join('/'), '97 levels, at most 96 are carried'],
  ])('%s is refused, naming the field', (topic, reason) => {
    const refused = () => workloadLevels(topic, owner);
    expect(refused).toThrow(MessageError);
    expect(refused).toThrow(expect.objectContaining({ code: 'bad-topic', field: 'topic' }));
    expect(refused).toThrow(`topic: ${reason}`);
  });
});
