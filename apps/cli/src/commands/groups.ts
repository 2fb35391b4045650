import type { Group, Labels, labelDevice, listGroupDevices, OperationOutput } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Environment } from '../context.ts';

const BASE = '/v1/accounts/{account}/groups';

/** `signet groups …`: devices in groups, by name or by their labels. */
export function groupCommands(program: Command, environment: Environment): void {
  const groups = program
    .command('groups')
    .description('groups of devices, and labels that decide membership');

  groups
    .command('create <group>')
    .description('create a group: of named devices, or of all devices that match a label query')
    .option(
      '--labels <query>',
      'a label query such as "site=hall-3,tier!=test,has-tpm,!retired"; every term must match',
    )
    .action(
      action(program, environment, async ({ api, say }, group: string, { labels }: { labels?: string }) => {
        const made = await api.post<Group>(BASE, { group, labels });
        say(made, () => `group ${made.name} is made`);
      }),
    );

  groups
    .command('list')
    .description('list the groups of the account')
    .action(
      action(program, environment, async ({ api, list }) => {
        await list(api.all<Group>(BASE, { limit: 1000 }), {
          group: ({ name }) => name,
          devices: ({ devices }) => devices,
          labels: ({ labels }) => labels,
          made: ({ createdAt }) => createdAt,
          by: ({ createdBy }) => createdBy,
        });
      }),
    );

  groups
    .command('remove <group>')
    .description('remove a group: its devices lose the group’s config and nothing else')
    .action(
      action(program, environment, async ({ api, say }, group: string) => {
        await api.delete(`${BASE}/${encodeURIComponent(group)}`);
        say({ removed: group }, () => `group ${group} is removed`);
      }),
    );

  groups
    .command('devices <group>')
    .description('list the devices of a group')
    .action(
      action(program, environment, async ({ api, list }, group: string) => {
        const path = `${BASE}/${encodeURIComponent(group)}/devices`;
        await list(
          api.all<OperationOutput<typeof listGroupDevices>['items'][number]>(path, { limit: 1000 }),
          {
            device: ({ deviceId }) => deviceId,
            since: ({ since }) => since,
          },
        );
      }),
    );

  for (const [verb, description] of [
    ['add', 'put devices into a group'],
    ['take', 'take devices out of a group'],
  ] as const) {
    groups
      .command(`${verb} <group> <devices...>`)
      .description(description)
      .action(
        action(program, environment, async ({ api, say }, group: string, devices: string[]) => {
          const path = `${BASE}/${encodeURIComponent(group)}/devices`;
          const change = verb === 'add' ? { add: devices } : { remove: devices };
          const done = await api.post<{ added: string[]; removed: string[] }>(path, change);
          say(done, () =>
            verb === 'add'
              ? `${done.added.length} came into ${group}`
              : `${done.removed.length} left ${group}`,
          );
        }),
      );
  }

  groups
    .command('label <device> [labels...]')
    .description('show the labels of a device; set them with name=value, remove them with name-')
    .action(
      action(program, environment, async ({ api, say }, device: string, changes: string[]) => {
        const path = `/v1/accounts/{account}/devices/${encodeURIComponent(device)}/labels`;
        const known =
          changes.length === 0
            ? await api.get<Labelled>(path)
            : await api.put<Labelled>(path, parse(changes));
        say(known, () =>
          [
            ...Object.entries(known.labels).map(([name, value]) => `${name}=${value}`),
            `groups: ${known.groups.join(', ') || 'none'}`,
          ].join('\n'),
        );
      }),
    );
}

type Labelled = OperationOutput<typeof labelDevice>;

function parse(changes: readonly string[]): { set: Labels; remove: string[] } {
  const set: Labels = {};
  const remove: string[] = [];
  for (const change of changes) {
    const at = change.indexOf('=');
    if (at > 0) set[change.slice(0, at)] = change.slice(at + 1);
    else if (at < 0 && change.endsWith('-') && change.length > 1) remove.push(change.slice(0, -1));
    else throw new CliError(`"${change}": use name=value, or name- to remove the label`);
  }
  return { set, remove };
}
