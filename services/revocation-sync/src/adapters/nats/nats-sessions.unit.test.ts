import { expect, it } from 'vitest';
import { NatsSessions } from './nats-sessions.ts';

function setup() {
  const sessions = new NatsSessions();
  const said: string[] = [];
  const enter = (server: string, client: number, clientId: string) =>
    sessions.enter({
      ...{ server, client, clientId },
      handle: { leave: () => said.push(`left ${server}/${client}`) },
      kick: () => said.push(`kicked ${server}/${client}`),
    });
  return { sessions, said, enter };
}

it('a session that a NATS server says has ended is forgotten, once, and no other', () => {
  const { sessions, said, enter } = setup();
  enter('A', 1, 'acme.dev-1');
  enter('B', 1, 'acme.dev-2');
  sessions.ended({ server: 'A', client: 1 });
  sessions.ended({ server: 'A', client: 1 });
  expect(said).toEqual(['left A/1']);
  expect(sessions.size).toBe(1);
});

it('all sessions of a NATS server that shuts down are forgotten', () => {
  const { sessions, said, enter } = setup();
  enter('A', 1, 'acme.dev-1');
  enter('A', 2, 'acme.dev-2');
  enter('B', 1, 'acme.dev-3');
  sessions.serverEnded('A');
  expect(said).toEqual(['left A/1', 'left A/2']);
  expect(sessions.size).toBe(1);
});

it('a device has one session: the one before is kicked, so that none lives on unseen, and its late end changes nothing', () => {
  const { sessions, said, enter } = setup();
  for (let client = 1; client <= 1000; client++) enter('A', client, 'acme.dev-1');
  expect(sessions.size).toBe(1);
  expect(said.slice(0, 2)).toEqual(['left A/1', 'kicked A/1']);
  sessions.ended({ server: 'A', client: 999 });
  expect(sessions.size).toBe(1);
});
