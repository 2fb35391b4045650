import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { UpdateReport } from '../domain/updates/update-event.ts';
import type { Gateway } from './gateway.ts';
import { whoMayReport } from './superseded.ts';

const EVENTS_BODY_BYTES = 1024 * 1024;
const Reports = z.array(z.unknown()).min(1).max(100);

/**
 * `/events` of device-gateway.md. Good reports are taken up whatever stands beside them: where some are broken the
 * answer is a 207 that names them, so that a client which sends its queue until it succeeds goes on; 400 where none is good.
 */
export function eventRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.post('/events', { bodyLimit: EVENTS_BODY_BYTES }, async (request, reply) => {
    const device = await whoMayReport(request, gateway);
    const sent = Reports.parse(request.body).map((each) => UpdateReport.safeParse(each));
    const good = sent.flatMap((each) => (each.success ? [each.data] : []));
    await gateway.takeReports(device, good);
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
