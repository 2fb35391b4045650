import { once } from 'node:events';
import { request } from 'node:http';
import process from 'node:process';

/**
 * A program of the device: `messages-workload.ts <socket>`. For each count that its parent sends it sends so many
 * messages, one after the other, numbered through, and answers with the number of the last.
 */
const [socketPath = ''] = process.argv.slice(2);
let last = 0;

async function submit(text: string): Promise<void> {
  const asked = request({ socketPath, method: 'POST', path: '/v1/messages/measured', agent: false });
  asked.end(text);
  const [response] = await once(asked, 'response');
  response.resume();
  await once(response, 'end');
  if (response.statusCode !== 202) throw new Error(`${text}: ${response.statusCode}`);
}

process.on('message', async (count: number) => {
  for (let i = 0; i < count; i++) await submit(String(++last));
  process.send?.(last);
});
process.on('disconnect', () => process.exit());
