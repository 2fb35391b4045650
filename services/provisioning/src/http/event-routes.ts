import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Context } from '../context.ts';
import { takeReports } from '../domain/updates/reports.ts';
import { UpdateReport } from '../domain/updates/update-event.ts';
import { authenticateReporter } from './authenticate.ts';

const EVENTS_BODY_BYTES = 1024 * 1024;
const Reports = z.array(z.unknown()).min(1).max(100);

/**
 * `/events` of device-gateway.md. Well-formed reports are stored whatever comes with them. Where some are malformed the
 * answer is a 207 that lists them, so that a client which resends its queue until it succeeds can go on; 400 where all are.
 */
export function eventRoutes(app: FastifyInstance, ctx: Context): void {
  app.post('/events', { bodyLimit: EVENTS_BODY_BYTES }, async (request, reply) => {
    const device = await authenticateReporter(request, ctx);
    const sent = Reports.parse(request.body).map((each) => UpdateReport.safeParse(each));
    const good = sent.flatMap((each) => (each.success ? [each.data] : []));
    await takeReports(ctx, { device, reports: good });
    const refused = sent.flatMap((each, index) =>
      each.success ? [] : [{ index, ...firstIssue(each.error, index) }],
    );
    if (refused.length === 0) return reply.status(200).send();
    const answer = { accepted: good.length, refused };
    if (good.length > 0) return reply.status(207).send(answer);
    const { field, detail } = refused[0] ?? { field: '', detail: '' };
    return reply
      .status(400)
      .type('application/problem+json')
      .send({
        ...{ type: 'about:blank', title: 'Bad Request', status: 400, code: 'invalid-input' },
        ...{ field, detail, ...answer },
      });
  });
}

function firstIssue(error: z.ZodError, index: number): { field: string; detail: string } {
  const [issue] = error.issues;
  const field = [index, ...(issue?.path ?? [])].join('.');
  return { field, detail: `${field}: ${issue?.message ?? 'not an event'}` };
}
