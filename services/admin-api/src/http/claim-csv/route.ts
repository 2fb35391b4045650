import { Readable } from 'node:stream';
import type { Bus } from '@signet/bus';
import { GroupName } from '@signet/contracts';
import { finishConnection, Problem } from '@signet/service';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AccountGuard } from '../account-guard.ts';
import { type Auditor, accountOf } from '../audit.ts';
import { demand, demandCounted } from '../authenticate.ts';
import type { DescribedRoute } from '../route.ts';
import { inAccount } from '../routes/shapes.ts';
import { fastifyPath, operatorOf } from '../serve-routes.ts';
import { readClaimRows } from './claim-rows.ts';
import { CsvError } from './csv-lines.ts';
import { claimRows } from './report.ts';
import { spool } from './spool.ts';

/** Ten million lines, about. */
const MAX_BYTES = 1024 * 1024 * 1024;

const Query = z.object({ group: GroupName.optional() });

export const claimCsvRoute = {
  method: 'POST',
  path: '/v1/accounts/{account}/devices/claims',
  summary:
    'Claim devices by a CSV file (text/csv): its first line names the columns fingerprint or code, deviceId, group. The report has a line of JSON for each line of the file, and one at the end',
  permission: 'devices:claim',
  params: inAccount,
  query: Query,
  response: z.string(),
  contentType: 'application/x-ndjson',
} as const satisfies DescribedRoute;

/** Serves claims of many in bounded memory: the file is on disk, the report goes out as it is made. */
export function serveClaimCsv(
  app: FastifyInstance,
  {
    bus,
    audit,
    accounts,
    folder,
  }: {
    readonly bus: Pick<Bus, 'request'>;
    readonly audit: Pick<Auditor, 'begin'>;
    readonly accounts: AccountGuard;
    readonly folder: string;
  },
): void {
  app.addContentTypeParser('text/csv', (_request, payload, done) => done(null, payload));
  const onRequest = async (request: FastifyRequest) => {
    const operator = operatorOf(request);
    demand(operator, claimCsvRoute.permission, accountOf(request.params));
    demandCounted(operator, claimCsvRoute.permission, false);
    await accounts.requireActive(operator, accountOf(request.params));
    finishConnection(request.raw.socket);
  };
  app.post(fastifyPath(claimCsvRoute.path), { onRequest }, async (request, reply) => {
    const operator = operatorOf(request);
    const { account } = inAccount.parse(request.params);
    const { group } = Query.parse(request.query);
    const { body } = request;
    if (!(body instanceof Readable))
      throw new Problem(415, 'unsupported-media-type', 'Content-Type: text/csv expected');
    const file = await spool(body, { folder, maxBytes: MAX_BYTES });
    try {
      const rows = await readClaimRows(file.read());
      await audit.begin(request);
      const report = claimRows({ bus, account, by: operator.name, group }, rows);
      const stream = Readable.from(asText(report), { objectMode: false });
      stream.once('close', () => void file[Symbol.asyncDispose]());
      return await reply.type(claimCsvRoute.contentType).send(stream);
    } catch (error) {
      await file[Symbol.asyncDispose]();
      if (error instanceof CsvError) throw new Problem(422, 'bad-csv', error.message, { field: 'body' });
      throw error;
    }
  });
}

const LINES_AT_ONCE = 256;

async function* asText(report: AsyncIterable<object>): AsyncGenerator<string> {
  let text = '';
  let count = 0;
  for await (const line of report) {
    text += `${JSON.stringify(line)}\n`;
    if (++count % LINES_AT_ONCE !== 0) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}
