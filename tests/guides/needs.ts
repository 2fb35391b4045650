import type { Requirement } from '../servers/requirements.ts';

/** What a block of a guide may need beside the clone: brought by `npm test`, or never there, with the reason. */
export type Need = { readonly brought: Requirement } | { readonly never: string };

export const needs: Readonly<Record<string, Need>> = {
  systemd: { never: 'no init system runs where the tests do; a test of the agent verifies the unit' },
  'lmp-device': {
    never: 'no device of the original clients is there; tests import the folders that they make',
  },
  'lmp-device-register': {
    never: 'a program of another maker, which is not brought; its requests are replayed',
  },
  'factory-server': { never: 'a test runs examples/factory-server, and uploads its log' },
  'nats-cli': { never: 'the program `nats` is not brought, and `npm start` has no NATS server' },
  // its maker's CA lies in tpm-maker.pem
  tpm: { brought: 'swtpm' },
  softhsm: { brought: 'softhsm' },
  mosquitto: { brought: 'mosquitto-broker' },
  'nats-callout': {
    never: 'a test of revocation-sync runs it, with a nats-server whose keys are made for it',
  },
  docker: { never: 'no container can be built where the tests run' },
};
