import { clockNow } from '../clock.ts';
import { forgetCommands, readSeenCommands } from '../commands/seen-commands.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { stateOf } from '../updates/update-state.ts';
import { type Finding, faultOf } from './finding.ts';
import { setAside } from './set-aside.ts';

/** What the agent remembers besides who it is and what it is to do. */
export async function otherFindings(folder: DeviceFolder, now: () => number): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = async (
    file: string,
    read: () => Promise<unknown>,
    then: string,
    after: () => Promise<void> = async () => {},
  ) => {
    const reason = await faultOf(folder, file, read);
    if (reason === undefined) return;
    const { says, apply } = setAside(folder, file, then);
    findings.push({ file, reason, remedy: { says, apply: () => apply().then(after) } });
  };
  await add(
    'updates/state.json',
    () => stateOf(folder, ''),
    'software that its config names is fetched and handed to its handler again',
  );
  await add(
    'commands.json',
    () => readSeenCommands(folder),
    'commands that were given before now are refused, as they may have been done',
    () => forgetCommands(folder, now()),
  );
  const floorSays =
    'the clock may not go back behind the release of the agent, and then behind what servers show';
  await add('clock.json', () => folder.clockFloor(), floorSays);
  const floor = findings.some(({ file }) => file === 'clock.json') ? undefined : await folder.clockFloor();
  if (floor !== undefined && floor > now() && clockNow() !== undefined)
    findings.push({
      ...{ file: 'clock.json', reason: `it says ${new Date(floor).toISOString()}, and that is not past` },
      remedy: setAside(folder, 'clock.json', floorSays),
    });
  return findings;
}
