import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Answer, send } from './answer.ts';
import { type AskedRequest, answerRequest, type EstAnswerDeps, failure } from './answer-request.ts';
import { enrolmentHandler } from './enrolment-handler.ts';
import { WireError } from './wire-error.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Everything that the EST listener answers: `first` takes plain enrolments, `routes` all that is left. */
export function estHttp(deps: EstAnswerDeps) {
  let closing = false;
  const last = (answer: Answer): Answer =>
    closing ? { ...answer, headers: { ...answer.headers, Connection: 'close' } } : answer;
  return {
    first: enrolmentHandler(deps, last),
    async routes(server: FastifyInstance): Promise<void> {
      server.addHook('preClose', async () => {
        closing = true;
      });
      await server.register((app, _options, done) => {
        serve(app, deps, last);
        done();
      });
    },
  };
}

function serve(app: FastifyInstance, deps: EstAnswerDeps, last: (answer: Answer) => Answer): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => {
    reply.hijack();
    send(reply.raw, last(failure(deps, asked(request), undefined, withWireStatus(error))));
  });
  app.route({
    method: METHODS,
    url: '/*',
    handler: async (request, reply) => {
      const answer = await answerRequest(deps, asked(request));
      reply.hijack();
      send(reply.raw, last(answer));
    },
  });
}

function asked({ method, url, headers, raw, body }: FastifyRequest): AskedRequest {
  return { method, url, headers, socket: raw.socket, body: Buffer.isBuffer(body) ? body : undefined };
}

/** What Fastify refuses by itself, before the handler: a body that is too long or cut off. */
function withWireStatus(error: unknown): unknown {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) return new WireError(413, 'body: too long');
  if (status === 415) return new WireError(415, 'Content-Type: application/pkcs10 expected');
  if (status === 400) return new WireError(400, 'body: not the length that Content-Length says');
  return error;
}
