import type { MqttPolicy } from '@signet/contracts';
import { type Command, Option } from 'commander';
import { action, type Environment } from '../context.ts';
import { facts } from '../output.ts';

const PATH = '/v1/accounts/{account}/mqtt-policy';
type Flags = Partial<Record<keyof MqttPolicy, 'on' | 'off'>>;

export function mqttCommands(program: Command, environment: Environment): void {
  const policy = program
    .command('mqtt')
    .description('the MQTT broker')
    .command('policy')
    .description('the account’s requirements for the broker beyond certificates');

  policy
    .command('show')
    .description('show the policy')
    .action(
      action(program, environment, async ({ api, say }) => {
        const shown = await api.get<MqttPolicy>(PATH);
        say(shown, () => view(shown));
      }),
    );

  const flag = (name: string, description: string) => new Option(name, description).choices(['on', 'off']);
  policy
    .command('set')
    .description('change the policy for new connections')
    .addOption(flag('--second-factor <on|off>', 'also require the user name and password from the handoff'))
    .addOption(flag('--shared <on|off>', 'whether devices may subscribe to a/<account>/shared/…'))
    .addOption(flag('--retain-shared <on|off>', 'retain the last shared message for later subscribers'))
    .action(
      action(program, environment, async ({ api, say }, flags: Flags) => {
        const change = Object.fromEntries(
          Object.entries(flags).map(([name, value]) => [name, value === 'on']),
        );
        const changed = await api.put<MqttPolicy>(PATH, change);
        say(changed, () => view(changed));
      }),
    );
}

function view({ secondFactor, shared, retainShared }: MqttPolicy): string {
  const state = (isOn: boolean) => (isOn ? 'on' : 'off');
  return facts({
    'second factor': state(secondFactor),
    'shared topics': state(shared),
    'retain shared': state(retainShared),
  });
}
