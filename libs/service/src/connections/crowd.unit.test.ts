import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressGroup } from './address-group.ts';
import { Crowd } from './crowd.ts';

type Member = { readonly group: string; readonly id: number };

test('a crowd knows its largest group and the oldest of it, whatever came and went', () => {
  const step = fc.record({ add: fc.boolean(), group: fc.constantFrom('a', 'b', 'c', 'd'), nth: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const crowd = new Crowd<Member>();
      let members: Member[] = [];
      for (const [id, { add, group, nth }] of steps.entries()) {
        const leaving = members[nth];
        if (add) {
          const member = { group, id };
          crowd.add(member);
          members.push(member);
        } else if (leaving !== undefined) {
          crowd.remove(leaving);
          members = members.filter((member) => member !== leaving);
        }
        const sizes = Object.groupBy(members, (member) => member.group);
        const most = Math.max(0, ...Object.values(sizes).map((same) => same?.length ?? 0));
        const oldest = crowd.oldestOfLargest();
        expect(crowd.size).toBe(members.length);
        expect(oldest === undefined).toBe(members.length === 0);
        if (oldest === undefined) continue;
        expect(sizes[oldest.group]).toHaveLength(most);
        expect(oldest).toBe(sizes[oldest.group]?.[0]);
      }
    }),
  );
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002:aaaa::1', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  [undefined, 'unknown'],
])('the address %s is counted with %s', (address, group) => {
  expect(addressGroup(address)).toBe(group);
});
