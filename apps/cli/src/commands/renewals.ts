import type { grantExpiredRenewal, OperationOutput } from '@signet/contracts';
import type { Command } from 'commander';
import { action, type Environment } from '../context.ts';
import { wholeNumber } from '../parse-number.ts';

export function renewalCommands(program: Command, environment: Environment): void {
  program
    .command('grant-renewal <device>')
    .description('let a device renew once with an expired certificate, whatever its age')
    .option('--hours <hours>', 'how long the grant is valid, in hours', wholeNumber(1), 72)
    .action(
      action(program, environment, async ({ api, say }, device: string, { hours }: { hours: number }) => {
        const granted = await api.post<OperationOutput<typeof grantExpiredRenewal>>(
          `/v1/accounts/{account}/devices/${encodeURIComponent(device)}/renewal-grant`,
          { hours },
        );
        say(
          granted,
          () => `${granted.account}/${granted.deviceId} may renew once, until ${granted.expiresAt}`,
        );
      }),
    );
}
