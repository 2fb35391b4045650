import * as contracts from '@signet/contracts';
import { commonCodes, type Operation, operationSubject } from '@signet/contracts';
import { docComments } from './doc-comments.ts';
import { code, type Generator, page } from './document.ts';
import { fieldTable } from './schema-fields.ts';

const introduction = `Request and reply between services over the bus: for the few answers that a device waits for. An
operation is served on the subject \`signet.rpc.<operation>\` (NATS micro-service protocol), and by each replica on one
of its own (\`signet.rpc-at.<replica>.<operation>\`), which it names to who asks on \`signet.rpc-live.<operation>\`: what
is not idempotent is asked only of a replica that has just said so, and what is goes to another where one is silent. Besides its own codes any
operation may answer ${commonCodes.map(code).join(', ')}. In tables, \`?\` marks what may be absent.`;

/** Every request/reply operation, by the service that answers it. */
export const operations: Generator = {
  file: 'operations.md',
  generate: () => {
    const comments = docComments('libs/contracts/src/operations');
    const all = Object.entries(contracts as Record<string, unknown>).filter(
      (entry): entry is [string, Operation] => isOperation(entry[1]),
    );
    const sorted = all.sort(([, a], [, b]) => (a.name < b.name ? -1 : 1));
    return page(
      'Operations',
      introduction,
      sorted.flatMap(([name, operation]) => [
        `## ${operation.name}`,
        ...(comments.has(name) ? [comments.get(name) ?? ''] : []),
        `Subject ${code(operationSubject(operation.name))}; schema ${code(name)} of \`@signet/contracts\`. ${
          operation.errors.length === 0
            ? 'No codes of its own.'
            : `Codes: ${operation.errors.map(code).join(', ')}.`
        }${operation.idempotent ? ' Idempotent.' : ''}`,
        `Asked:`,
        fieldTable(operation.input, 'input'),
        `Answered:`,
        fieldTable(operation.output, 'output'),
      ]),
    );
  },
};

function isOperation(value: unknown): value is Operation {
  return (
    typeof value === 'object' && value !== null && 'input' in value && 'output' in value && 'errors' in value
  );
}
